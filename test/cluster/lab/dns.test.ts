// SPDX-License-Identifier: Apache-2.0
/** The cluster's name server as a pod, following services of a real API; on a node's network, so that no datapath is needed. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { until } from '../l7/pods.ts'

const server = (api: URL) => `
apiVersion: v1
kind: ConfigMap
metadata: {name: names}
data:
  Corefile: |
    .:53 {
        ready
        kubernetes cluster.local in-addr.arpa ip6.arpa
        local
    }
---
apiVersion: v1
kind: Pod
metadata: {name: names, labels: {app: names}}
spec:
  hostNetwork: true
  tolerations: [{operator: Exists}]
  containers:
    - name: c
      image: registry.k8s.io/coredns/coredns:v1.12.1
      args: [-conf, /etc/coredns/Corefile]
      env: [{name: KUBERNETES_SERVICE_HOST, value: "${api.hostname}"}, {name: KUBERNETES_SERVICE_PORT, value: "${api.port}"}]
      readinessProbe: {httpGet: {path: /ready, port: 8181}, periodSeconds: 1}
      volumeMounts: [{name: config, mountPath: /etc/coredns}]
  volumes: [{name: config, configMap: {name: names}}]
`

const service = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ipFamilyPolicy: PreferDualStack
  selector: {app: names}
  ports: [{name: dns, port: 53, protocol: UDP}]
`

describe('the name server in a lab', { timeout: 60_000 }, () => {
  let lab: Lab
  before(async () => {
    lab = await Lab.up('names', ['--bare'], 1)
    const api = new URL(await lab.kubectl(['config', 'view', '-o', 'jsonpath={.clusters[0].cluster.server}']))
    await lab.kubectl(['create', '-f', '-'], server(api))
    await lab.ready('app=names')
  })
  after(() => lab.down())

  /** Asks from inside the node; the answer as JSON, or the error's code. */
  const ask = async (type: string, name: string): Promise<unknown> => {
    const script = `const { Resolver } = require('node:dns').promises; const r = new Resolver({ timeout: 2000, tries: 1 });
      r.setServers(['127.0.0.1']); r.resolve(${JSON.stringify(name)}, ${JSON.stringify(type)})
        .then((a) => console.log(JSON.stringify(a)), (e) => console.log(JSON.stringify(e.code)))`
    const [program = '', ...args] = [...lab.inside('node-1'), process.execPath, '-e', script]
    const { stdout, stderr } = await ran(program, args)
    assert.notEqual(stdout, '', stderr)
    return JSON.parse(stdout)
  }

  it('knows the API’s own service from the start', async () => {
    assert.deepEqual(await ask('A', 'kubernetes.default.svc.cluster.local'), ['10.96.0.1'])
    assert.deepEqual(await ask('A', 'localhost'), ['127.0.0.1'])
  })

  it('learns a service when it is made and forgets it when it is gone', async () => {
    const name = 'web.default.svc.cluster.local'
    assert.equal(await ask('A', name), 'ENOTFOUND')
    await lab.kubectl(['create', '-f', '-'], service)
    await until('it is known', async () => (await ask('A', name)) !== 'ENOTFOUND')
    const made = await lab.json<{ spec: { clusterIPs: string[] } }>(['get', 'service', 'web'])
    assert.deepEqual(await ask('A', name), [made.spec.clusterIPs[0]])
    assert.deepEqual(await ask('AAAA', name), [made.spec.clusterIPs[1]])
    assert.deepEqual(await ask('SRV', `_dns._udp.${name}`), [{ name, port: 53, priority: 0, weight: 100, type: 'SRV' }])
    await lab.kubectl(['delete', 'service', 'web'])
    await until('it is forgotten', async () => (await ask('A', name)) === 'ENOTFOUND')
  })
})
