// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Bench, openBench, versions } from './kubectl.ts'

let bench: Bench
before(async () => {
  bench = await openBench()
})
after(() => bench.close())

const fleet = (namespace: string): string => `apiVersion: v1
kind: Service
metadata: {name: deathstar, namespace: ${namespace}, labels: {app: deathstar}}
spec:
  type: ClusterIP
  ports: [{port: 80}]
  selector: {org: empire, class: deathstar}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: deathstar, namespace: ${namespace}}
spec:
  replicas: 2
  selector: {matchLabels: {org: empire, class: deathstar}}
  template:
    metadata: {labels: {org: empire, class: deathstar}}
    spec:
      containers: [{name: deathstar, image: 'example.org/starwars:v2.1'}]
---
apiVersion: v1
kind: Pod
metadata: {name: tiefighter, namespace: ${namespace}, labels: {org: empire, class: tiefighter}}
spec:
  containers: [{name: spaceship, image: example.org/netperf}]
`

async function ok(version: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await bench.kubectl(version, args, input)
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

for (const version of versions) {
  const ns = `v${version}`
  const k = (...args: string[]) => ok(version, ['-n', ns, ...args])

  test(`kubectl 1.${version} creates, prints, describes and deletes a file of several objects`, async () => {
    await ok(version, ['create', 'namespace', ns])
    const file = bench.file(`fleet-${version}.yaml`, fleet(ns))
    assert.equal(
      await ok(version, ['create', '-f', file]),
      'service/deathstar created\ndeployment.apps/deathstar created\npod/tiefighter created\n',
    )
    const again = await bench.kubectl(version, ['create', '-f', file])
    assert.match(again.stderr, /\(AlreadyExists\).*services "deathstar" already exists/)
    assert.match(await k('get', 'pods'), /^NAME +READY +STATUS +RESTARTS +AGE\ntiefighter +0\/1 +Pending +0 /)
    assert.match(await k('get', 'pods', '-o', 'wide'), /AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n/)
    assert.match(
      await k('get', 'svc,deploy', '-o', 'wide'),
      /service\/deathstar +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP .*class=deathstar,org=empire/,
    )
    assert.match(
      await k('get', 'pod', 'tiefighter', '-o', 'jsonpath={.spec.containers[0].imagePullPolicy} {.status.qosClass}'),
      /^Always BestEffort$/,
    )
    assert.match(await k('describe', 'pod', 'tiefighter'), /Image: +example\.org\/netperf/)
    assert.match(await k('describe', 'service', 'deathstar'), /IP Families: +IPv4/)
    await k('delete', 'pod', 'tiefighter')
    const missing = await bench.kubectl(version, ['-n', ns, 'get', 'pod', 'tiefighter'])
    assert.match(missing.stderr, /Error from server \(NotFound\): pods "tiefighter" not found/)
  })

  test(`kubectl 1.${version} applies on the client's side and on the server's, and sees no change the second time`, async () => {
    const file = bench.file(`fleet-${version}.yaml`, fleet(ns))
    await ok(version, ['apply', '-f', file])
    assert.match(
      await ok(version, ['apply', '-f', file]),
      /^service\/deathstar unchanged\ndeployment.apps\/deathstar unchanged\npod\/tiefighter unchanged\n$/,
    )
    const before = await k('get', 'deploy', 'deathstar', '-o', 'jsonpath={.metadata.generation}')
    await ok(version, ['apply', '--server-side', '-f', file])
    await ok(version, ['apply', '--server-side', '-f', file])
    assert.equal(await k('get', 'deploy', 'deathstar', '-o', 'jsonpath={.metadata.generation}'), before)
    assert.equal(await ok(version, ['diff', '-f', file]), '')
  })

  test(`kubectl 1.${version} is told of a conflict when it applies what another manager owns`, async () => {
    const map = (value: string) =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned, namespace: ${ns}}\ndata: {key: ${value}}`
    await ok(version, ['apply', '--server-side', '--field-manager=first', '-f', '-'], map('one'))
    const refused = await bench.kubectl(
      version,
      ['apply', '--server-side', '--field-manager=second', '-f', '-'],
      map('two'),
    )
    assert.match(refused.stderr, /conflict with "first": \.data\.key/)
    await ok(version, ['apply', '--server-side', '--field-manager=second', '--force-conflicts', '-f', '-'], map('two'))
    assert.equal(await k('get', 'cm', 'owned', '-o', 'jsonpath={.data.key}'), 'two')
  })

  test(`kubectl 1.${version} labels, patches in each way, scales and waits`, async () => {
    await k('label', 'pod', 'tiefighter', 'wing=left')
    await k('patch', 'pod', 'tiefighter', '-p', '{"metadata":{"labels":{"a":"1"}}}')
    await k('patch', 'pod', 'tiefighter', '--type=merge', '-p', '{"metadata":{"labels":{"b":"2"}}}')
    await k('patch', 'pod', 'tiefighter', '--type=json', '-p', '[{"op":"add","path":"/metadata/labels/c","value":"3"}]')
    assert.equal(
      await k('get', 'pod', 'tiefighter', '-o', 'jsonpath={.metadata.labels}'),
      '{"a":"1","b":"2","c":"3","class":"tiefighter","org":"empire","wing":"left"}',
    )
    await k('scale', 'deploy', 'deathstar', '--replicas=3')
    assert.equal(await k('get', 'deploy', 'deathstar', '-o', 'jsonpath={.spec.replicas}'), '3')
    await k('set', 'image', 'deploy/deathstar', 'deathstar=example.org/starwars:v3')
    assert.equal(
      await k('get', 'deploy', 'deathstar', '-o', 'jsonpath={.spec.template.spec.containers[*].image}'),
      'example.org/starwars:v3',
    )
    const waiting = k('wait', 'pod/tiefighter', '--for=jsonpath={.status.phase}=Running', '--timeout=20s')
    await k(
      'patch',
      'pod',
      'tiefighter',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"phase":"Running"}}',
    )
    assert.match(await waiting, /condition met/)
  })

  test(`kubectl 1.${version} sends the same object in protobuf and in JSON`, async () => {
    const commands: readonly (readonly string[])[] = [
      ['configmap', 'x', '--from-literal=a=b'],
      ['secret', 'generic', 'x', '--from-literal=a=b'],
      ['deployment', 'x', '--image=nginx', '--replicas=0', '--port=80'],
      ['job', 'x', '--image=busybox', '--', 'date'],
      ['cronjob', 'x', '--image=busybox', '--schedule=*/5 * * * *', '--', 'date'],
      ['service', 'nodeport', 'x', '--tcp=80:8080'],
      ['service', 'clusterip', 'y', '--clusterip=None'],
      ['serviceaccount', 'x'],
      ['role', 'x', '--verb=get,list', '--resource=pods'],
      ['rolebinding', 'x', '--role=x', '--user=u', '--serviceaccount=a:b'],
      ['quota', 'x', '--hard=cpu=1,pods=2'],
      ['poddisruptionbudget', 'x', '--selector=app=x', '--min-available=50%'],
      ['ingress', 'x', '--rule=foo.com/bar*=svc1:8080,tls=my-cert'],
    ]
    interface Made {
      readonly kind: string
      readonly metadata: Readonly<Record<string, unknown>>
    }
    const comparable = (object: Made): unknown => {
      const { uid: _, resourceVersion: __, creationTimestamp: ___, managedFields: ____, ...metadata } = object.metadata
      return JSON.parse(
        JSON.stringify({ ...object, metadata })
          .replace(/[0-9a-f]{8}-[0-9a-f-]{27}|10\.96\.\d+\.\d+|\b3[012]\d{3}\b/g, '"?"')
          .replaceAll('""?""', '"?"'),
      )
    }
    const kinds = [...new Set(commands.map(([kind]) => kind))].join()
    /** What there is by these commands, by kind and name. */
    const made = async (): Promise<ReadonlyMap<string, unknown>> => {
      const { items } = JSON.parse(await k('get', kinds, '-o', 'json')) as { readonly items: readonly Made[] }
      const ours = items.filter((o) => ['x', 'y'].includes(String(o.metadata['name'])))
      return new Map(ours.map((o) => [`${o.kind} ${o.metadata['name']}`, comparable(o)]))
    }
    const inJson = (command: readonly string[]) => {
      const at = command.indexOf('--')
      const end = at < 0 ? command.length : at
      return k('create', ...command.slice(0, end), '--dry-run=client', '-o', 'json', ...command.slice(end))
    }
    await Promise.all(commands.map((command) => k('create', ...command)))
    const sent = await made()
    assert.equal(sent.size, commands.length)
    await k('delete', ...[...sent.keys()].map((object) => object.replace(' ', '/')))
    assert.equal((await made()).size, 0)
    const items = (await Promise.all(commands.map(inJson))).map((text) => JSON.parse(text) as object)
    await ok(version, ['-n', ns, 'create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    assert.deepEqual(await made(), sent)
  })

  test(`kubectl 1.${version} explains fields, and is told of unknown and wrong ones`, async () => {
    assert.match(await ok(version, ['explain', 'pod.spec.containers.ports']), /containerPort\t<integer>/)
    const wrong = (body: string) => bench.kubectl(version, ['-n', ns, 'apply', '-f', '-'], body)
    const pod = (spec: string) => `apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: ${spec}`
    assert.match(
      (await wrong(pod('{contaners: [], containers: [{name: a, image: b}]}'))).stderr,
      /strict decoding error: unknown field "spec\.contaners"/,
    )
    assert.match((await wrong(pod('{containers: [{name: a}]}'))).stderr, /spec\.containers\[0\]\.image: Required value/)
    assert.match(
      (await wrong(pod('{containers: [{name: a, image: b, ports: [{containerPort: 70000}]}]}'))).stderr,
      /Invalid value: 70000: must be between 1 and 65535, inclusive/,
    )
    assert.match(
      (await wrong(pod('{containers: [{name: a, image: 7}]}'))).stderr,
      /cannot unmarshal number into Go struct field spec\.containers\[0\]\.image of type string/,
    )
    assert.match(
      (await wrong('apiVersion: v1\nkind: Pod\nmetadata: {name: Bad_Name}\nspec: {containers: [{name: a, image: b}]}'))
        .stderr,
      /a lowercase RFC 1123 subdomain/,
    )
  })

  test(`kubectl 1.${version} follows changes, pages through lists and asks who it is`, async () => {
    const watcher = bench.start(version, ['-n', ns, 'get', 'configmaps', '-w', '-o', 'name'])
    const seen = new Promise<string>((resolve) => {
      let text = ''
      watcher.stdout?.on('data', (part: string) => {
        text += part
        if (text.includes('configmap/late')) resolve(text)
      })
    })
    await k('create', 'configmap', 'late')
    // The watch may have started after the creation: it then lists the object.
    assert.match(await seen, /configmap\/late/)
    watcher.kill()
    for (let i = 0; i < 7; i++) bench.api.store.create('configmaps', { metadata: { namespace: ns, name: `page-${i}` } })
    const paged = await k('get', 'configmaps', '--chunk-size=3', '-o', 'name')
    assert.equal(paged.split('\n').filter((line) => line.includes('page-')).length, 7)
    assert.equal(await ok(version, ['auth', 'can-i', 'create', 'pods']), 'yes\n')
    assert.match(await ok(version, ['auth', 'whoami']), /kubernetes-admin/)
    assert.match(await ok(version, ['version']), /Server Version: v1\.34/)
  })
}
