// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '../../..')
const guides = ['docs/policy-questions.md', 'docs/dns-policy.md', 'docs/host-firewall.md'].map((name) =>
  join(root, name),
)

/** Runs a line as a shell of the checkout would; `cilium-dbg` is the program from its source. */
function run(line: string): { readonly output: string; readonly status: number | null } {
  const bin = mkdtempSync(join(tmpdir(), 'cilium-dbg-'))
  try {
    const program = `exec "${process.execPath}" "${join(root, 'src/apps/dbg/main.ts')}" "$@"`
    writeFileSync(join(bin, 'cilium-dbg'), `#!/bin/sh\n${program}\n`, { mode: 0o755 })
    const env = {
      ...process.env,
      PATH: `${bin}:${process.env['PATH']}`,
      NODE_NO_WARNINGS: '1',
      JUNIT: join(bin, 'junit.xml'),
    }
    const done = spawnSync('sh', ['-c', `${line} 2>&1`], { cwd: root, env, encoding: 'utf8' })
    return { output: done.stdout, status: done.status }
  } finally {
    rmSync(bin, { recursive: true })
  }
}

/** `REWRITE=1` writes what the commands print into the guide; read the difference. */
test('the guides show what their commands print', () => {
  for (const guide of guides) play(guide)
})

function play(guide: string): void {
  const text = readFileSync(guide, 'utf8')
  const played = text.replace(/```console\n(.*?)```/gs, (_, body: string) => {
    const commands = body.split('\n').filter((l) => l.startsWith('$ '))
    const shown = commands.map((c) => `${c}\n${run(c.slice(2)).output.trimEnd()}\n`)
    return `\`\`\`console\n${shown.join('\n')}\`\`\``
  })
  if (process.env['REWRITE'] && played !== text) writeFileSync(guide, played)
  else assert.equal(played, text)
}

const example = 'examples/policy-questions'

test('exit codes say whether cases pass and policies are valid', () => {
  const cluster = `--cluster ${example}/cluster`
  assert.equal(run(`cilium-dbg policy test ${cluster} -f ${example}/cases.yaml`).status, 0)
  assert.equal(run(`cilium-dbg policy validate -f ${example}/cluster`).status, 0)
  assert.equal(run(`cilium-dbg policy validate -f ${example}/wrong`).status, 1)
  const closed = run(`cilium-dbg policy test ${cluster} --cluster ${example}/lock-down.yaml -f -`)
  assert.equal(closed.status, 1, 'no cases on standard input')
  const failing = run(
    `echo 'cases: [{ name: a & b, from: world, to: shop/web, port: 80, expect: deny }]' | cilium-dbg policy test ${cluster} -f - --junit $JUNIT; s=$?; cat $JUNIT; exit $s`,
  )
  assert.equal(failing.status, 1)
  assert.match(failing.output, /<testcase classname="policy" name="a &amp; b"/)
  assert.match(failing.output, /<failure message="expected deny, got allow; found: allow, by no policy">/)
})

test('what kubectl prints is read as manifests are', () => {
  const objects = run(
    `cilium-dbg policy explain --cluster ${example}/cluster --from shop/web --to shop/api -p 8080 -o json`,
  )
  const folder = mkdtempSync(join(tmpdir(), 'objects-'))
  try {
    const list = {
      kind: 'List',
      items: [
        { kind: 'Pod', metadata: { name: 'a', namespace: 'x', labels: { app: 'a' } }, spec: { containers: [] } },
        {
          kind: 'Pod',
          metadata: { name: 'b', namespace: 'x' },
          spec: { containers: [] },
          status: { podIP: '10.0.0.2' },
        },
        {
          apiVersion: 'networking.k8s.io/v1',
          kind: 'NetworkPolicy',
          metadata: { name: 'p', namespace: 'x' },
          spec: { podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: { app: 'a' } } }] }] },
        },
      ],
    }
    writeFileSync(join(folder, 'all.json'), JSON.stringify(list))
    const { output, status } = run(
      `cilium-dbg policy explain --cluster ${folder} --from x/a --to 10.0.0.2 -p 80 -o jsonpath='{.decidedBy.field}'`,
    )
    assert.equal(output, 'spec.ingress[0].from[0]')
    assert.equal(status, 0)
  } finally {
    rmSync(folder, { recursive: true })
  }
  assert.equal(JSON.parse(objects.output).verdict.final, 'allow')
})

test('a mistake in a list that kubectl printed is found at its line', () => {
  const list = [
    'kind: List',
    'items:',
    '- apiVersion: networking.k8s.io/v1',
    '  kind: NetworkPolicy',
    '  metadata: { name: p }',
    '  spec:',
    '    podSelector: { matchLables: { a/b.c: d } }',
  ].join('\n')
  const { output } = run(`printf '%s' '${list}' | cilium-dbg policy validate -f -`)
  assert.match(
    output,
    /^-:7:20: error: spec\.podSelector\.matchLables: unknown field \(did you mean 'matchLabels'\?\)\n/,
  )
})
