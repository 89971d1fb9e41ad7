// SPDX-License-Identifier: Apache-2.0

const factors: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

/** A Kubernetes resource quantity as a number: `250m` is 0.25, `1Gi` is 1073741824; 0 for what is none. */
export const quantity = (text: string | number | undefined): number => {
  if (typeof text === 'number') return text
  const m = /^([+-]?[\d.]+(?:[eE][+-]?\d+)?)([a-zA-Z]*)$/.exec(text ?? '')
  const value = Number(m?.[1]) * (factors[m?.[2] ?? ''] ?? Number.NaN)
  return Number.isFinite(value) ? value : 0
}
