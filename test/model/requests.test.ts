// SPDX-License-Identifier: Apache-2.0
/**
 * What explain says of requests, against the same random rules and the same matcher that the real Envoy is held against
 * (`test/cluster/l7/random.ts`): from the object to the answer. REQUEST_SETS says how many sets, REQUEST_SEED which.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, openAsking } from '../../src/derive/questions/ask.ts'
import { openCluster } from '../../src/derive/questions/cluster.ts'
import { readObjects } from '../../src/derive/questions/objects.ts'
import { type Header, meant, type Rules, randomAsked, randomFrom, randomRules } from '../cluster/l7/random.ts'

const sets = Number(process.env['REQUEST_SETS'] ?? 300)
const seed = Number(process.env['REQUEST_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
const askedOfEach = 10

const pod = (name: string) => ({ kind: 'Pod', metadata: { name, labels: { app: name } }, spec: { containers: [] } })

const headerMatch = ({ name, value, mismatch }: Header) => ({
  name,
  ...(value === '' ? {} : { value }),
  ...(mismatch === '' ? {} : { mismatch }),
})

/** Where TLS ends: names that it may be spoken to, none for all; undefined where it does not end. */
type Ending = readonly string[] | undefined
const endings: readonly Ending[] = [[], ['a.example'], ['*.b.example'], ['a.example', '**.b.example']]
const servers = ['a.example', 'b.example', 'x.b.example', 'y.x.b.example']

/** Whether a client that speaks TLS to this name, or none, is asked for its requests at all. */
function ends(ending: Ending, sni: string | undefined): boolean {
  if (!ending || sni === undefined) return ending === undefined && sni === undefined
  const labels = sni.split('.')
  return (
    ending.length === 0 ||
    ending.some((name) => {
      const [first, ...rest] = name.split('.')
      const same = labels.slice(-rest.length).join() === rest.join()
      if (first === '**') return same && labels.length > rest.length
      return first === '*' ? same && labels.length === rest.length + 1 : name === sni
    })
  )
}

/** One list asks at the server; of two the first asks at the client. */
function policies({ written }: Rules, ending: Ending): readonly object[] {
  const lists = written.map((list) =>
    list.map(({ method, path, host, headers }) => ({
      ...(method === '' ? {} : { method }),
      ...(path === '' ? {} : { path }),
      ...(host === '' ? {} : { host }),
      ...(headers.length === 0 ? {} : { headerMatches: headers.map(headerMatch) }),
    })),
  )
  const tls = ending && {
    terminatingTLS: { secret: { name: 'shown' } },
    ...(ending.length > 0 ? { serverNames: ending } : {}),
  }
  return lists.map((http, i) => {
    const egress = lists.length === 2 && i === 0
    // The rules of a list are those of one element, or of several policies' elements: it makes no difference.
    const rules = http.map((rule) => ({
      toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], rules: { http: [rule] }, ...tls }],
    }))
    const together = [{ toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }], rules: { http }, ...tls }] }]
    return {
      kind: 'CiliumNetworkPolicy',
      metadata: { name: egress ? 'client' : 'server', uid: String(i) },
      spec: {
        endpointSelector: { matchLabels: { app: egress ? 'client' : 'server' } },
        [egress ? 'egress' : 'ingress']: http.length % 2 === 0 ? rules : together,
      },
    }
  })
}

/** Headers after what the answer says is done to them. */
function changed(headers: ReadonlyMap<string, string>, changes: readonly string[]): ReadonlyMap<string, string> {
  const out = new Map(headers)
  for (const change of changes) {
    const removed = /^removes header (\S+)$/.exec(change)?.[1]
    const [, name = '', value = ''] = /^sets header ([^:]+): (.*)$/.exec(change) ?? []
    if (removed !== undefined) out.delete(removed)
    else out.set(name, value)
  }
  return out
}

test(`explain says of requests what the rules mean (${sets} sets)`, () => {
  const random = randomFrom(seed)
  const counts = { passed: 0, refused: 0, mended: 0 }
  for (let n = 0; n < sets; n++) {
    const set = randomRules(random)
    const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
    const ending = set.written.length === 1 && random() < 0.15 ? one(endings) : undefined
    const objects = [pod('client'), pod('server'), ...policies(set, ending)]
    const asking = openAsking(openCluster(readObjects(objects)))
    for (let i = 0; i < askedOfEach; i++) {
      const asked = randomAsked(random, set)
      const sni = (ending ? random() < 0.8 : random() < 0.1) ? one(servers) : undefined
      const want = ends(ending, sni) ? meant(set, asked) : undefined
      const { method, path, host } = asked
      const about = `REQUEST_SEED=${seed}, set ${n}: ${JSON.stringify(asked)}, TLS ${sni} by ${JSON.stringify(ending)}, ${JSON.stringify(set.written)}`
      const headers = asked.headers.map(([name, value]) => `${name}: ${value}`)
      const answer = ask(asking, {
        from: 'client',
        to: 'server',
        port: 80,
        method,
        path,
        host,
        headers,
        ...(sni === undefined ? {} : { sni }),
      })
      assert(answer.ok, `${about}: ${JSON.stringify(answer)}`)
      assert.equal(answer.value.verdict.final, want ? 'allow' : 'deny', about)
      counts[want ? 'passed' : 'refused']++
      if (!want) continue
      const given = new Map<string, string>()
      for (const [name, value] of asked.headers)
        given.set(name, given.has(name) ? `${given.get(name)},${value}` : value)
      const { egress, ingress } = answer.value
      const found = changed(changed(given, egress.request?.changes ?? []), ingress.request?.changes ?? [])
      assert.deepEqual(Object.fromEntries(found), Object.fromEntries(want), about)
      if ([...found].some(([name, value]) => given.get(name) !== value)) counts.mended++
    }
  }
  const all = counts.passed + counts.refused
  assert.ok(counts.passed > all / 5 && counts.refused > all / 5 && counts.mended > all / 100, JSON.stringify(counts))
})
