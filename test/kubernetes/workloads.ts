// SPDX-License-Identifier: Apache-2.0
/** Pods, services and connections that the tests look at. */
import { setTimeout as sleep } from 'node:timers/promises'
import { testImage } from './build.ts'
import { json, kubectl, tryKubectl } from './kubectl.ts'
import { until } from './run.ts'

export interface PodInfo {
  readonly name: string
  readonly node: string
  /** IPv4 first. */
  readonly addresses: readonly string[]
}

interface PodObject {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly nodeName: string }
  readonly status: { readonly podIPs?: readonly { readonly ip: string }[] }
}

/** A pod that serves its name by HTTP on 8080, and echoes what it is told on 9000. */
export const pod = (name: string, node: string, labels: Readonly<Record<string, string>> = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name, ...labels } },
  spec: {
    ...(node ? { nodeSelector: { 'kubernetes.io/hostname': node } } : {}),
    terminationGracePeriodSeconds: 0,
    containers: [
      {
        name: 'main',
        image: testImage,
        args: ['netexec', '--http-port=8080'],
        readinessProbe: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
      },
      { name: 'echo', image: testImage, command: ['nc', '-ll', '-p', '9000', '-e', 'cat'] },
    ],
  },
})

export const service = (name: string, app: string): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: {
    selector: { app },
    ipFamilyPolicy: 'RequireDualStack',
    ports: [
      { name: 'http', port: 80, targetPort: 8080 },
      { name: 'echo', port: 9000 },
    ],
  },
})

export const apply = (objects: readonly object[]): Promise<string> =>
  kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))

/** Waits for pods to be Ready; without names for all of the namespace. */
export const podsReady = (...names: readonly string[]): Promise<string> =>
  kubectl(['wait', '--for=condition=Ready', 'pod', ...(names.length > 0 ? names : ['--all']), '--timeout=180s'])

export async function podInfo(name: string): Promise<PodInfo> {
  const p = await json<PodObject>(['get', 'pod', name])
  return { name, node: p.spec.nodeName, addresses: (p.status.podIPs ?? []).map((i) => i.ip) }
}

const url = (host: string, port: number): string => `http://${host.includes(':') ? `[${host}]` : host}:${port}/hostname`

/** What a pod gets from a host: the answering pod's name, or '' when nothing answers. */
export async function answer(from: string, host: string, port = 8080, seconds = 3): Promise<string> {
  const r = await tryKubectl(['exec', from, '-c', 'main', '--', 'curl', '-gsS', '-m', String(seconds), url(host, port)])
  return r.code === 0 ? r.stdout.trim() : ''
}

/** Waits until a pod gets an answer of another one: what is told of a new pod takes its time to other nodes. */
export const answers = (from: string, host: string, wanted: string, port = 8080): Promise<void> =>
  until(`${from} gets an answer of ${wanted} at ${host}`, async () => {
    const got = await answer(from, host, port)
    return got === wanted || `'${got}'`
  })

/** Connections of a pod to a host, new ones without end and one that stays, until `finish` says how they fared. */
export interface Traffic {
  finish(): Promise<{
    readonly made: number
    readonly failed: number
    readonly echoed: number
    readonly unanswered: number
  }>
}

export async function startTraffic(from: string, host: string, httpPort = 8080): Promise<Traffic> {
  const id = `traffic-${Math.random().toString(36).slice(2)}`
  const script = `
    mkdir -p /tmp/${id}; cd /tmp/${id}; touch run
    (while [ -e run ]; do if curl -gs -m 3 -o /dev/null '${url(host, httpPort)}'; then echo ok; else echo "failed $? $(date +%T)"; fi; sleep 0.02; done; touch ended) >new 2>&1 &
    (i=0; while [ -e run ]; do i=$((i+1)); echo $i; sleep 0.05; done; sleep 1) | tee sent | nc ${host} 9000 >echo 2>/dev/null &
    sleep 0.3; echo started`
  await kubectl([
    'exec',
    from,
    '-c',
    'main',
    '--',
    'sh',
    '-c',
    `(${script}) </dev/null >/tmp/${id}.log 2>&1; cat /tmp/${id}.log`,
  ])
  return {
    async finish() {
      await kubectl(['exec', from, '-c', 'main', '--', 'rm', `/tmp/${id}/run`])
      // The last request ends; what was told on the connection comes back, if it does.
      const traffic = (test: string) =>
        tryKubectl(['exec', from, '-c', 'main', '--', 'sh', '-c', `cd /tmp/${id}; ${test}`])
      await until('the last request has ended', async () => (await traffic('[ -e ended ]')).code === 0)
      for (let i = 0; i < 10; i++) {
        await sleep(1000)
        if ((await traffic('[ "$(wc -l <sent)" = "$(wc -l <echo)" ]')).code === 0) break
      }
      const r = await kubectl([
        'exec',
        from,
        '-c',
        'main',
        '--',
        'sh',
        '-c',
        `cd /tmp/${id}; grep -c ok new; grep -c failed new; wc -l <sent; wc -l <echo; grep failed new | head -5`,
      ])
      const [made, failed, sent, echoed] = r.split('\n').map(Number) as [number, number, number, number]
      return { made: made + failed, failed, echoed, unanswered: sent - echoed }
    },
  }
}
