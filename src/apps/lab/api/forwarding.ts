// SPDX-License-Identifier: Apache-2.0
import type { Duplex } from 'node:stream'
import type { SpdyStream } from './sockets.ts'
import type { KubeletStreams, PodRef } from './streams.ts'
import type { Target } from './target.ts'

/** Pairs error and data streams by request id and joins each pair to a connection into the pod. */
export function forwarder({ kubelet, pod }: Target): (opened: SpdyStream) => void {
  const waiting = new Map<string, { error?: Duplex; data?: Duplex }>()
  let unnamed = 0
  return ({ headers, stream }) => {
    const port = Number(headers['port'])
    const kind = headers['streamtype'] === 'error' ? 'error' : 'data'
    // A client that sends no request id opens its pairs one after the other.
    const id = headers['requestid'] ?? `#${unnamed >> 1}`
    if (headers['requestid'] === undefined) unnamed += 1
    const pair = { ...waiting.get(id), [kind]: stream }
    if (!pair.error || !pair.data) return void waiting.set(id, pair)
    waiting.delete(id)
    void forward(kubelet, pod, port, pair.error, pair.data)
  }
}

async function forward(kubelet: KubeletStreams, pod: PodRef, port: number, error: Duplex, data: Duplex): Promise<void> {
  try {
    const connection = await kubelet.portForward(pod, port)
    await join(data, connection)
    error.end()
  } catch (cause) {
    error.end(`error forwarding port ${port} to pod ${pod.name}: ${(cause as Error).message}`)
    data.end()
  }
}

/** Copies both ways; each side's end is passed on. Resolves when both are over. */
function join(a: Duplex, b: Duplex): Promise<void> {
  return new Promise((resolve) => {
    let open = 2
    const over = (to: Duplex): void => {
      if (!to.destroyed) to.end()
      open -= 1
      if (open === 0) resolve()
    }
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      from.on('error', () => to.destroy())
      from.pipe(to)
      from.once('close', () => over(to))
    }
  })
}
