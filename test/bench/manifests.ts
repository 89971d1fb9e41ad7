// SPDX-License-Identifier: Apache-2.0

interface Options {
  readonly label: string
  /** A label of its own for each, and so an identity and a policy of its own. */
  readonly distinct?: boolean
  readonly node?: string
  /** A scheduler of this name does not exist: the pod stays an object of the API alone. */
  readonly scheduler?: string
}

/** Pods that sleep, as one document of JSON. */
export function sleepers(names: readonly string[], options: Options): string {
  const items = names.map((name) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'default',
      labels: { bench: options.label, ...(options.distinct ? { of: name } : {}) },
    },
    spec: {
      ...(options.node === undefined ? {} : { nodeName: options.node }),
      ...(options.scheduler === undefined ? {} : { schedulerName: options.scheduler }),
      terminationGracePeriodSeconds: 0,
      containers: [{ name: 'main', image: 'busybox', command: ['sleep', 'infinity'] }],
    },
  }))
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}
