// SPDX-License-Identifier: Apache-2.0
/** What questions about policies cost: a cluster's objects to its decisions, changes of them, questions as lines of JSON. */
import { answering } from '../../src/apps/dbg/questions/many.ts'
import { addMember, openCluster } from '../../src/derive/questions/cluster.ts'
import { compare, withPolicies } from '../../src/derive/questions/compare.ts'
import { matrixOf } from '../../src/derive/questions/matrix.ts'
import { type Member, readObjects } from '../../src/derive/questions/objects.ts'
import { absolute, median, type Section } from './figure.ts'

export interface Size {
  readonly namespaces: number
  readonly workloads: number
  readonly pods: number
  readonly policies: number
}

const namespaceOf = (workload: number, size: Size): string => `ns${workload % size.namespaces}`

const pod = (i: number, size: Size, workload = i % size.workloads): object => ({
  kind: 'Pod',
  metadata: {
    name: `w${workload}-${i}`,
    namespace: namespaceOf(workload, size),
    labels: { app: `app${workload}`, tier: `t${workload % 5}` },
  },
  spec: { containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 8080 }] }] },
  status: { podIPs: [{ ip: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` }] },
})

/** Each speaks of one workload: another of its namespace, a tier, another namespace, two ports. */
const policy = (i: number, size: Size, port = 80): object => {
  const workload = i % size.workloads
  const other = (workload + size.namespaces) % size.workloads
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNetworkPolicy',
    metadata: { name: `p${i}`, namespace: namespaceOf(workload, size) },
    spec: {
      endpointSelector: { matchLabels: { app: `app${workload}` } },
      ingress: [
        {
          fromEndpoints: [{ matchLabels: { app: `app${other}` } }, { matchLabels: { tier: `t${i % 5}` } }],
          toPorts: [{ ports: [{ port: String(port), protocol: 'TCP' }] }],
        },
        {
          fromEndpoints: [{ matchLabels: { 'k8s:io.kubernetes.pod.namespace': `ns${(i + 1) % size.namespaces}` } }],
          toPorts: [{ ports: [{ port: '9090', endPort: 9100, protocol: 'TCP' }] }],
        },
      ],
      egress: [{ toEntities: ['cluster'] }, { toEndpoints: [{ matchLabels: { app: `app${other}` } }] }],
    },
  }
}

const timed = (work: () => void): number => {
  const start = performance.now()
  work()
  return performance.now() - start
}

const objectsOf = (size: Size) =>
  readObjects([
    ...Array.from({ length: size.pods }, (_, i) => pod(i, size)),
    ...Array.from({ length: size.policies }, (_, i) => policy(i, size)),
  ])

const policyOf = (i: number, size: Size, port: number) => readObjects([policy(i, size, port)]).policies

export function measure(size: Size, questions: number) {
  const objects = objectsOf(size)
  let cluster = openCluster(objects)
  const first = median(
    Array.from({ length: 3 }, () =>
      timed(() => {
        cluster = openCluster(objects)
      }),
    ),
  )
  const change = (i: number) => () => void withPolicies(cluster, policyOf(i, size, 1000 + i), [])
  for (let i = 0; i < 10; i++) change(i)()
  const onePolicy = median(Array.from({ length: 20 }, (_, i) => timed(change(i + 10))))
  const members = Array.from({ length: 200 }, (_, i) => readObjects([pod(size.pods + i, size)]).members[0] as Member)
  const onePod = median(members.map((m) => timed(() => void addMember(cluster, m))))
  const whatIf = timed(() => void compare(cluster, withPolicies(cluster, policyOf(3, size, 81), [])))

  const answer = answering(cluster)
  const lines = Array.from({ length: questions }, (_, i) => {
    const workload = (i * 7919) % size.workloads
    // Neighbours of a namespace, which policies speak of, and strangers.
    const other = (workload + (i % 2 === 0 ? size.namespaces : i)) % size.workloads
    return JSON.stringify({
      from: `${namespaceOf(other, size)}/w${other}-${other}`,
      to: `${namespaceOf(workload, size)}/w${workload}-${workload}`,
      port: [80, 443, 9095, 53][i % 4],
      protocol: i % 8 === 7 ? 'UDP' : 'TCP',
    })
  })
  // Every table is compiled at its first question.
  const compiled = timed(() => {
    for (const line of lines.slice(0, 4 * size.workloads)) answer(line)
  })
  let allowed = 0
  const seconds =
    timed(() => {
      for (const line of lines) if (answer(line).includes('"final":"allow"')) allowed++
    }) / 1000
  return { first, onePolicy, onePod, whatIf, compiled, perSecond: questions / seconds, allowed: allowed / questions }
}

export const questions: Section = {
  name: 'questions',
  run: async (report) => {
    const size = { namespaces: 100, workloads: 2000, pods: 10000, policies: 5000 }
    const found = measure(size, 200_000)
    report(absolute('questions: 5,000 policies, 10,000 pods of 2,000 workloads, first', found.first, 'ms', 2000))
    report(absolute('questions: a fork of all that, with one policy changed', found.onePolicy, 'ms'))
    report(absolute('questions: one pod of a known workload added', found.onePod, 'ms', 1))
    report(absolute('questions: what-if of one policy, all pairs compared', found.whatIf, 'ms'))
    report(absolute('questions: the first 8,000 of them, which compile all tables', found.compiled, 'ms'))
    report(absolute('questions: lines of JSON answered', found.perSecond, '/s', 100_000, true))
    report(absolute('questions: share of them that is allowed', found.allowed, ''))
    const small = openCluster(objectsOf({ namespaces: 10, workloads: 200, pods: 1000, policies: 500 }))
    report(
      absolute(
        'questions: matrix of 200 workloads',
        timed(() => void matrixOf(small)),
        'ms',
      ),
    )
  },
}
