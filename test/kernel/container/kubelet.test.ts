// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { after, before, test } from 'node:test'
import type { Pod } from '../../../src/apps/lab/kubelet/manifest.ts'
import { isReady, isRunning, shell, type TestKubelet, testKubelet } from './fixture.ts'

let lab: TestKubelet
before(async () => {
  lab = await testKubelet('kubelet')
})
after(() => lab.end())

const sleeper = {
  name: 'main',
  image: 'busybox',
  command: ['sh', '-c', 'trap exit TERM; while :; do sleep 0.05; done'],
}
const refOf = (pod: Pod) => ({ namespace: 'default', name: pod.metadata.name, uid: pod.metadata.uid })
const stateOf = (pod: Pod | undefined) =>
  (pod?.status?.['containerStatuses'] as never[] | undefined)?.[0] as unknown as
    | {
        state: {
          waiting?: { reason: string; message: string }
          terminated?: { exitCode: number; reason: string; message?: string }
        }
        restartCount: number
        ready: boolean
      }
    | undefined

async function run(pod: Pod, command: string, container = 'main', input?: string) {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const stdin = input === undefined ? undefined : new PassThrough().end(input)
  const streams = { stdout, stderr, tty: false, signal: new AbortController().signal, ...(stdin ? { stdin } : {}) }
  const code = await lab.kubelet.exec(refOf(pod), container, ['sh', '-c', command], streams)
  return { code, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
}

async function log(pod: Pod, more = {}) {
  const options = { follow: false, previous: false, timestamps: false, signal: new AbortController().signal, ...more }
  let text = ''
  for await (const part of lab.kubelet.logs(refOf(pod), 'main', options)) text += Buffer.from(part)
  return text
}

const gone = (pod: Pod | undefined) => pod === undefined

test('without a network configuration the node is not ready, pods wait, and host network pods start', async () => {
  const node = lab.store.get('nodes', '', 'kubelet')
  const ready = (node['status'] as { conditions: { type: string; status: string; message: string }[] }).conditions.find(
    (c) => c.type === 'Ready',
  )
  assert.equal(ready?.status, 'False')
  assert.match(ready?.message ?? '', /cni plugin not initialized/)
  lab.create('waits', { containers: [sleeper] })
  lab.create('host', { hostNetwork: true, containers: [sleeper] })
  const host = await lab.until('host', isRunning)
  assert.equal(host?.status?.podIP, '10.99.0.1')
  assert.equal(lab.get('waits')?.status?.phase, 'Pending')
  assert.match(lab.events('waits').join(), /NetworkNotReady/)

  lab.installNetwork()
  const pod = await lab.until('waits', isReady)
  assert.deepEqual(pod?.status?.podIPs, [{ ip: '10.99.0.2' }, { ip: 'fd00:99::2' }])
  const after = lab.store.get('nodes', '', 'kubelet')['status'] as { conditions: { type: string; status: string }[] }
  assert.equal(after.conditions.find((c) => c.type === 'Ready')?.status, 'True')
})

test('the plugin is called as kubelets do, and DEL comes with the result of ADD before the pod is gone', async () => {
  const pod = lab.create('called', { containers: [sleeper] })
  await lab.until('called', isRunning)
  lab.store.delete('pods', 'default', 'called', { gracePeriodSeconds: 1 })
  await lab.until('called', gone)
  const calls = lab.cniCalls().filter((line) => line.includes('K8S_POD_NAME=called'))
  assert.deepEqual(
    calls.map((line) => line.split(' ')[0]),
    ['ADD', 'DEL'],
  )
  assert.match(
    calls[0] ?? '',
    new RegExp(
      `K8S_POD_INFRA_CONTAINER_ID=[0-9a-f]{64};K8S_POD_UID=${pod.metadata.uid};IgnoreUnknown=1;K8S_POD_NAMESPACE=default`,
    ),
  )
  const configs = readFileSync(lab.node.path('/var/log/cni-config'), 'utf8')
    .trim()
    .split('\n')
    .map((l) => JSON.parse(l))
  assert.deepEqual(configs[0], { type: 'fake-cni', a: 1, name: 'test', cniVersion: '1.0.0' })
  assert.ok(configs.some((c) => c.prevResult?.ips?.length === 2))
  assert.deepEqual(
    lab.events('called').map((e) => e.split(':')[0]),
    ['Pulled', 'Created', 'Started', 'Killing'],
  )
  assert.equal(existsSync(lab.node.path(`/var/lib/kubelet/pods/${pod.metadata.uid}`)), false)
})

test('a plugin that refuses is asked again; the event says what it said; a refused DEL is repeated', async () => {
  await shell(lab.node, 'touch /run/refuse-add')
  lab.create('refused', { containers: [sleeper] })
  for (let i = 0; i < 200 && lab.events('refused').length === 0; i++) await new Promise((done) => setTimeout(done, 10))
  assert.match(
    lab.events('refused').join(),
    /FailedCreatePodSandBox: Failed to create pod sandbox: .*try again later; the agent is away/,
  )
  assert.equal(readdirSync(lab.node.path('/run/netns')).length, 1, 'a refused sandbox leaves no namespace')
  await shell(lab.node, 'rm /run/refuse-add; touch /run/refuse-del')
  await lab.until('refused', isRunning)
  lab.store.delete('pods', 'default', 'refused', { gracePeriodSeconds: 1 })
  for (let i = 0; i < 300 && !lab.events('refused').some((e) => e.startsWith('FailedKillPod')); i++)
    await new Promise((done) => setTimeout(done, 10))
  assert.ok(lab.get('refused'))
  await shell(lab.node, 'rm /run/refuse-del')
  await lab.until('refused', gone)
})

test('environment: values, fields, resources, keys, whole maps, expansion and services', async () => {
  lab.store.create('configmaps', {
    metadata: { name: 'conf', namespace: 'default' },
    data: { color: 'blue', other: 'x' },
  })
  lab.store.create('secrets', {
    metadata: { name: 'hidden', namespace: 'default' },
    data: { word: Buffer.from('abc').toString('base64') },
  })
  lab.store.create('services', {
    metadata: { name: 'death-star', namespace: 'default' },
    spec: { clusterIP: '10.96.1.1', ports: [{ name: 'web', port: 80, protocol: 'TCP' }] },
  })
  const env = [
    { name: 'A', value: 'a' },
    { name: 'B', value: '$(A)-$(NONE)-$$(A)' },
    { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
    { name: 'LABEL', valueFrom: { fieldRef: { fieldPath: "metadata.labels['org']" } } },
    { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '1m' } } },
    { name: 'COLOR', valueFrom: { configMapKeyRef: { name: 'conf', key: 'color' } } },
    { name: 'WORD', valueFrom: { secretKeyRef: { name: 'hidden', key: 'word' } } },
    { name: 'MAYBE', valueFrom: { secretKeyRef: { name: 'none', key: 'word', optional: true } } },
  ]
  const container = {
    ...sleeper,
    env,
    envFrom: [{ prefix: 'P_', configMapRef: { name: 'conf' } }],
    resources: { limits: { cpu: '250m', memory: '64Mi' } },
  }
  const pod = lab.create('env', { containers: [container] }, { labels: { org: 'empire' } })
  const running = await lab.until('env', isRunning)
  const { stdout } = await run(pod, 'env; cat /etc/resolv.conf /etc/hosts; hostname')
  for (const line of [
    'A=a',
    'B=a--$(A)'.replace('--', '-$(NONE)-'),
    `IP=${running?.status?.podIP}`,
    'LABEL=empire',
    'CPU=250',
    'COLOR=blue',
    'WORD=abc',
    'P_other=x',
    'DEATH_STAR_SERVICE_HOST=10.96.1.1',
    'DEATH_STAR_PORT_80_TCP_ADDR=10.96.1.1',
  ]) {
    assert.ok(stdout.split('\n').includes(line), `${line} in ${stdout}`)
  }
  assert.doesNotMatch(stdout, /MAYBE/)
  assert.match(
    stdout,
    /search default.svc.cluster.local svc.cluster.local cluster.local example.test\nnameserver 10.96.0.10\noptions ndots:5\n/,
  )
  assert.match(stdout, new RegExp(`${running?.status?.podIP}\tenv\n`))
  assert.equal(running?.status?.['qosClass'], 'Guaranteed')
})

test('volumes: shared emptyDir, items, subPath, downward API, service account; a change of the ConfigMap arrives', async () => {
  lab.store.create('configmaps', { metadata: { name: 'files', namespace: 'default' }, data: { one: '1', two: '2' } })
  const volumes = [
    { name: 'dir', emptyDir: {} },
    { name: 'files', configMap: { name: 'files' } },
    { name: 'some', configMap: { name: 'files', items: [{ key: 'two', path: 'sub/zwei', mode: 0o400 }] } },
    { name: 'down', downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
    { name: 'host', hostPath: { path: '/var/lib/made', type: 'DirectoryOrCreate' } },
  ]
  const volumeMounts = [
    { name: 'dir', mountPath: '/dir' },
    { name: 'dir', mountPath: '/only', subPath: 'inner' },
    { name: 'files', mountPath: '/files' },
    { name: 'files', mountPath: '/etc/one.conf', subPath: 'one' },
    { name: 'some', mountPath: '/some' },
    { name: 'down', mountPath: '/down', readOnly: true },
    { name: 'host', mountPath: '/host' },
  ]
  const pod = lab.create(
    'volumes',
    {
      volumes,
      containers: [
        { ...sleeper, volumeMounts },
        { ...sleeper, name: 'peer', volumeMounts: volumeMounts.slice(0, 1) },
      ],
    },
    { labels: { a: 'b' } },
  )
  await lab.until('volumes', isRunning)
  const { stdout } = await run(
    pod,
    'cd /; cat files/one files/two etc/one.conf some/sub/zwei down/labels; stat -c %a some/sub/zwei -L; cat /var/run/secrets/kubernetes.io/serviceaccount/*; echo x > only/f; touch host/y; touch files/z 2>/dev/null || echo readonly',
  )
  assert.equal(stdout, '1212a="b"400\nthe authoritydefaulttoken of default/defaultreadonly\n')
  assert.equal((await run(pod, 'cat /dir/inner/f', 'peer')).stdout, 'x\n')
  assert.ok(existsSync(lab.node.path('/var/lib/made/y')))
  lab.store.modify('configmaps', 'default', 'files', (map) => ({ ...map, data: { one: 'new', three: '3' } }))
  await Promise.resolve()
  assert.equal((await run(pod, 'ls /files; cat /files/one /etc/one.conf')).stdout, 'one\nthree\nnew1')
})

test('a missing ConfigMap holds the pod back until it is there', async () => {
  lab.create('missing', { containers: [{ ...sleeper, envFrom: [{ configMapRef: { name: 'later' } }] }] })
  const waiting = await lab.until(
    'missing',
    (pod) => stateOf(pod)?.state.waiting?.reason === 'CreateContainerConfigError',
  )
  assert.equal(stateOf(waiting)?.state.waiting?.message, 'configmap "later" not found')
  lab.store.create('configmaps', { metadata: { name: 'later', namespace: 'default' }, data: {} })
  await lab.until('missing', isRunning)
})

test('an unknown image without a command says how to map it; with a command it runs', async () => {
  lab.create('unknown', { containers: [{ name: 'main', image: 'example.com/none:1' }] })
  const pod = await lab.until('unknown', (p) =>
    /ErrImagePull|ImagePullBackOff/.test(stateOf(p)?.state.waiting?.reason ?? ''),
  )
  assert.match(stateOf(pod)?.state.waiting?.message ?? '', /cilium-lab up --image none=PROGRAM/)
  lab.create('command', { containers: [{ ...sleeper, image: 'example.com/none:1' }] })
  await lab.until('command', isRunning)
})

test('a hostPath of the wrong type keeps the container waiting and says why; memory beyond the limit ends it', async () => {
  const volumes = [{ name: 'h', hostPath: { path: '/etc/passwd', type: 'Directory' } }]
  lab.create('wrong', { volumes, containers: [{ ...sleeper, volumeMounts: [{ name: 'h', mountPath: '/h' }] }] })
  const pod = await lab.until('wrong', (p) => stateOf(p)?.state.waiting?.message !== undefined)
  assert.match(
    stateOf(pod)?.state.waiting?.message ?? '',
    /hostPath type check failed: \/etc\/passwd is not a directory/,
  )
  assert.ok(lab.events('wrong').some((e) => e.startsWith('FailedMount: hostPath type check failed')))
  const command = ['sh', '-c', 'x=$(head -c 100000000 /dev/zero | tr "\\\\0" x); echo $x | wc -c']
  const resources = { limits: { memory: '20Mi' } }
  lab.create('hungry', { restartPolicy: 'Never', containers: [{ ...sleeper, command, resources }] })
  const over = await lab.until('hungry', (p) => p?.status?.phase === 'Failed')
  assert.equal(stateOf(over)?.state.terminated?.reason, 'OOMKilled')
})

test('init containers run one after the other, and a pod that ends well has succeeded', async () => {
  const volumes = [{ name: 'd', emptyDir: {} }]
  const step = (name: string, command: string) => ({
    name,
    image: 'busybox',
    command: ['sh', '-c', command],
    volumeMounts: [{ name: 'd', mountPath: '/d' }],
  })
  const spec = {
    restartPolicy: 'Never',
    volumes,
    initContainers: [step('a', 'echo a >> /d/f'), step('b', 'echo b >> /d/f')],
    containers: [step('main', 'cat /d/f; echo done > /dev/termination-log')],
  }
  const pod = lab.create('once', spec)
  const over = await lab.until('once', (p) => p?.status?.phase === 'Succeeded')
  assert.deepEqual([stateOf(over)?.state.terminated?.exitCode, stateOf(over)?.state.terminated?.message], [0, 'done\n'])
  assert.equal(await log(pod), 'a\nb\n')
  assert.equal(lab.cniCalls().filter((c) => c.startsWith('DEL') && c.includes('K8S_POD_NAME=once')).length, 1)
  lab.store.delete('pods', 'default', 'once')
  await lab.until('once', gone)
  lab.create('fails', { ...spec, initContainers: [step('a', 'exit 4')] })
  const failed = await lab.until('fails', (p) => p?.status?.phase === 'Failed')
  assert.equal(stateOf(failed)?.state.waiting?.reason, 'PodInitializing')
})

test('a container that fails is started again, then with back-off; its previous log is kept', async () => {
  const pod = lab.create('crash', {
    containers: [{ name: 'main', image: 'busybox', command: ['sh', '-c', 'echo run; exit 9'] }],
  })
  const looping = await lab.until('crash', (p) => stateOf(p)?.state.waiting?.reason === 'CrashLoopBackOff')
  assert.equal(stateOf(looping)?.restartCount, 1)
  assert.match(
    stateOf(looping)?.state.waiting?.message ?? '',
    /^back-off 10s restarting failed container=main pod=crash_default/,
  )
  assert.equal(await log(pod), 'run\n')
  assert.equal(await log(pod, { previous: true }), 'run\n')
  assert.ok(lab.events('crash').some((e) => e.startsWith('BackOff: Back-off restarting failed container main')))
})

test('probes are real connections from the node; readiness opens, liveness restarts', async () => {
  const server = { name: 'main', image: 'quay.io/cilium/json-mock', ports: [{ name: 'http', containerPort: 8080 }] }
  lab.create('ready', {
    containers: [{ ...server, readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 } }],
  })
  await lab.until('ready', isReady)
  const never = { httpGet: { path: '/missing', port: 8080 }, periodSeconds: 1 }
  lab.create('unready', { containers: [{ ...server, readinessProbe: never }] })
  for (let i = 0; i < 2000 && !lab.events('unready').some((e) => e.startsWith('Unhealthy')); i++)
    await new Promise((done) => setTimeout(done, 10))
  assert.ok(
    lab
      .events('unready')
      .some(
        (e) =>
          e === 'Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404' ||
          /connection refused/i.test(e),
      ),
  )
  assert.equal(isReady(lab.get('unready')), false)
  lab.create('unlive', {
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        ...sleeper,
        livenessProbe: { exec: { command: ['sh', '-c', 'echo sick; false'] }, periodSeconds: 1, failureThreshold: 1 },
      },
    ],
  })
  await lab.until('unlive', (pod) => (stateOf(pod)?.restartCount ?? 0) > 0)
  assert.ok(lab.events('unlive').includes('Unhealthy: Liveness probe failed: sick'))
  assert.ok(lab.events('unlive').includes('Killing: Container main failed liveness probe, will be restarted'))
  lab.create('slow', {
    containers: [
      {
        ...server,
        startupProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
        readinessProbe: { grpc: { port: 8080 } },
      },
    ],
  })
  await lab.until('slow', isReady)
})

test('deletion: preStop, then SIGTERM, then SIGKILL after the grace period', async () => {
  const volumes = [{ name: 'd', hostPath: { path: '/var/lib/stop', type: 'DirectoryOrCreate' } }]
  const container = {
    name: 'main',
    image: 'busybox',
    volumeMounts: [{ name: 'd', mountPath: '/d' }],
    command: ['sh', '-c', 'trap "echo term >> /d/f" TERM; while :; do sleep 0.05; done'],
    lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo hook >> /d/f'] } } },
  }
  // Of these the hook takes what it needs to start; what is left must do for the trap.
  lab.create('stubborn', { terminationGracePeriodSeconds: 2, volumes, containers: [container] })
  await lab.until('stubborn', isRunning)
  lab.store.delete('pods', 'default', 'stubborn')
  await lab.until('stubborn', gone)
  assert.equal(readFileSync(lab.node.path('/var/lib/stop/f'), 'utf8'), 'hook\nterm\n')
})

test('a pod deleted while it is being added, or without grace, leaves nothing', async () => {
  const pods = Array.from({ length: 5 }, (_, i) => lab.create(`short-${i}`, { containers: [sleeper] }))
  for (const [i, pod] of pods.entries()) {
    if (i % 2) await new Promise((done) => setTimeout(done, i))
    lab.store.delete('pods', 'default', pod.metadata.name, { gracePeriodSeconds: 0 })
  }
  const left = () => pods.filter((p) => existsSync(lab.node.path(`/var/lib/kubelet/pods/${p.metadata.uid}`)))
  for (let i = 0; i < 2000 && left().length > 0; i++) await new Promise((done) => setTimeout(done, 10))
  assert.deepEqual(left(), [])
  const adds = lab.cniCalls().filter((c) => c.includes('NAME=short-'))
  assert.equal(adds.filter((c) => c.startsWith('ADD')).length, adds.filter((c) => c.startsWith('DEL')).length)
})

test('exec: input, both outputs, exit codes; errors for containers that are not there', async () => {
  const pod = lab.create('exec', { containers: [sleeper] })
  await lab.until('exec', isRunning)
  assert.deepEqual(await run(pod, 'cat; echo err >&2; exit 5', 'main', 'hello'), {
    code: 5,
    stdout: 'hello',
    stderr: 'err\n',
  })
  await assert.rejects(run(pod, 'true', 'other'), /container other is not valid for pod exec/)
  const streams = { tty: false, signal: new AbortController().signal }
  await assert.rejects(lab.kubelet.exec(refOf(pod), 'main', ['no-such'], streams), /executable file not found/)
})

test('logs: tail, since, timestamps, limit, and following until the container ends', async () => {
  const command = ['sh', '-c', 'echo one; echo two >&2; sleep 0.2; printf three']
  const pod = lab.create('logs', { restartPolicy: 'Never', containers: [{ name: 'main', image: 'busybox', command }] })
  await lab.until('logs', (p) => p?.status?.phase === 'Running' || p?.status?.phase === 'Succeeded')
  const followed = (await log(pod, { follow: true })).split('\n').toSorted()
  assert.deepEqual(followed, ['', 'one', 'three', 'two'])
  assert.equal(await log(pod, { tailLines: 1 }), 'three\n')
  assert.equal((await log(pod, { limitBytes: 5 })).length, 5)
  assert.equal(await log(pod, { since: Date.now() + 1000 }), '')
  assert.match(await log(pod, { tailLines: 1, timestamps: true }), /^\d{4}-.*Z three\n$/)
  await assert.rejects(
    async () => log(pod, { previous: true }),
    /previous terminated container "main" in pod "logs" not found/,
  )
})

test('port-forward reaches what listens on the pod loopback, and says when nothing does', async () => {
  const pod = lab.create('forward', {
    containers: [{ name: 'main', image: 'quay.io/cilium/starwars:v2.1', readinessProbe: { tcpSocket: { port: 80 } } }],
  })
  await lab.until('forward', isReady)
  const connection = await lab.kubelet.portForward(refOf(pod), 80)
  connection.end('GET /v1/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  let answer = ''
  for await (const data of connection) answer += data
  assert.match(answer, /ok\n$/)
  await assert.rejects(lab.kubelet.portForward(refOf(pod), 81), /inside the pod: .*Connection refused/)
})

test('attach to a terminal: what is typed arrives, what is shown comes back', async () => {
  const pod = lab.create('typed', {
    restartPolicy: 'Never',
    containers: [
      {
        name: 'main',
        image: 'busybox',
        command: ['sh', '-c', 'read x; echo got $x'],
        stdin: true,
        stdinOnce: true,
        tty: true,
      },
    ],
  })
  await lab.until('typed', isRunning)
  const stdin = new PassThrough()
  const stdout = new PassThrough()
  const attached = lab.kubelet.attach(refOf(pod), 'main', {
    stdin,
    stdout,
    tty: true,
    signal: new AbortController().signal,
  })
  stdin.write('hello\r')
  await attached
  assert.match(String(stdout.read()), /got hello\r\n$/)
  await lab.until('typed', (p) => p?.status?.phase === 'Succeeded')
})

test('after all pods are gone the node holds no namespace, process, cgroup or file of theirs', async () => {
  for (const pod of lab.store.list('pods', {}))
    lab.store.delete('pods', 'default', pod.metadata.name ?? '', { gracePeriodSeconds: 0 })
  const inspect = async () =>
    (
      await shell(
        lab.node,
        'ls /run/netns /run/sandbox /var/lib/kubelet/pods /var/log/pods | grep -v : ; ip -br link | grep lxc; ps -eo comm | grep -v -e lab-node -e "^sh$" -e ps -e grep -e COMMAND; cat /proc/mounts | grep nsfs',
      )
    ).stdout.trim()
  let left = await inspect()
  for (let i = 0; i < 100 && left; i++) left = await inspect()
  assert.equal(left, '')
})
