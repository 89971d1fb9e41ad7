// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { type Bench, openBench, versions } from './kubectl.ts'

let bench: Bench
before(async () => {
  bench = await openBench()
})
after(() => bench.close())

const chart = `apiVersion: v2
name: small
version: 0.1.0
`
const template = `apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec: {containers: [{name: a, image: example.org/a}]}
`

for (const version of versions) {
  test(`the helm beside kubectl 1.${version} installs, upgrades, lists and uninstalls`, async () => {
    const helm = execFileSync(new URL('../../../tools/kubectl.sh', import.meta.url).pathname, [version, 'helm'], {
      encoding: 'utf8',
    }).trim()
    mkdirSync(join(bench.directory, 'templates'), { recursive: true })
    bench.file('Chart.yaml', chart)
    bench.file('values.yaml', 'replicas: 1\n')
    bench.file('templates/deployment.yaml', template)
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: bench.directory,
      KUBECONFIG: join(bench.directory, 'kubeconfig'),
    }
    const run = async (...args: string[]) => (await promisify(execFile)(helm, args, { env })).stdout
    const replicas = () =>
      (bench.api.store.get('deployments.apps', 'default', 'rel')['spec'] as { replicas: number }).replicas
    assert.match(await run('install', 'rel', bench.directory), /STATUS: deployed/)
    assert.equal(replicas(), 1)
    assert.match(await run('upgrade', 'rel', bench.directory, '--set', 'replicas=2'), /has been upgraded/)
    assert.equal(replicas(), 2)
    assert.match(await run('list'), /rel\s+default\s+2\s/)
    await run('uninstall', 'rel')
    assert.equal(bench.api.store.find('deployments.apps', 'default', 'rel'), undefined)
  })
}
