// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeKube } from '../../edge/kube/fake-kube.ts'
import { pathOf, SECRETS } from '../../edge/kube/resource.ts'
import { settings } from '../../model/rows.ts'
import { ownerLabels } from '../../model/secret.ts'
import { defaultSettings } from '../../model/settings.ts'
import { openDatabase } from '../../table/open.ts'
import { judge, judgedPolicies } from './policies.ts'
import { type SecretDeed, secretCopies, secretRefs, secretSources, secretTables, secretTarget } from './secrets.ts'

const from = judgedPolicies.CiliumNetworkPolicy
const policy = (namespace: string, secret: object, more: object = {}) => {
  const row = judge('CiliumNetworkPolicy', {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumNetworkPolicy',
    metadata: { name: 'p', namespace, uid: 'u' },
    spec: {
      endpointSelector: {},
      egress: [
        {
          toPorts: [
            {
              ports: [{ port: '80', protocol: 'TCP' }],
              rules: { http: [{ headerMatches: [{ name: 'X-Token', secret }] }] },
              ...more,
            },
          ],
        },
      ],
    },
  })
  assert.ok(row)
  return row
}

function stage() {
  const { refs, wantedSecrets, secretDeeds } = secretTables('copies')
  const db = openDatabase([
    ...[settings, ...Object.values(judgedPolicies), secretSources, secretCopies],
    ...[...refs, wantedSecrets, secretDeeds],
  ])
  db.commit((tx) => tx.put(settings, defaultSettings))
  const deeds = () => [...db.all(secretDeeds)]
  const kinds = (list: readonly SecretDeed[] = deeds()) =>
    list.map((d) => [d.name, d.source ? `of ${d.source.namespace}/${d.source.name}` : 'delete'])
  return { db, deeds, kinds, wanted: () => db.all(wantedSecrets).map((r) => `${r.namespace}/${r.name}`) }
}

test('a policy names secrets of headers and of TLS, its own namespace’s unless it says otherwise', () => {
  const row = policy('a', { name: 'token' }, { terminatingTLS: { secret: { namespace: 'b', name: 'shown' } } })
  assert.deepEqual(secretRefs(row.policy), [
    { namespace: 'a', name: 'token' },
    { namespace: 'b', name: 'shown' },
  ])
})

test('a copy is written, follows its origin, and goes with it or when no policy names it', () => {
  const s = stage()
  s.db.commit((tx) => tx.put(from, policy('a', { name: 'token' })))
  assert.deepEqual([s.wanted(), s.kinds()], [['a/token'], []], 'nothing is known of it yet')
  const source = { namespace: 'a', name: 'token', type: 'Opaque', data: { token: 'eA==' } }
  s.db.commit((tx) => tx.put(secretSources, source))
  assert.deepEqual(s.kinds(), [['a-token', 'of a/token']])
  const copy = { name: 'a-token', owner: source, type: 'Opaque', data: source.data, uid: 'u', resourceVersion: '1' }
  s.db.commit((tx) => tx.put(secretCopies, copy))
  assert.deepEqual(s.kinds(), [])
  s.db.commit((tx) => tx.put(secretSources, { ...source, data: { token: 'eQ==' } }))
  assert.deepEqual(s.kinds(), [['a-token', 'of a/token']])
  s.db.commit((tx) => tx.put(secretSources, { ...source, data: undefined }))
  assert.deepEqual(s.kinds(), [['a-token', 'delete']])
  s.db.commit((tx) => {
    tx.put(secretSources, source)
    tx.remove(from, from.key(policy('a', {})))
  })
  assert.deepEqual(s.kinds(), [['a-token', 'delete']])
})

test('a policy that is not valid names nothing, nor does one whose secret is there already', () => {
  const s = stage()
  s.db.commit((tx) => tx.put(from, policy('a', { name: 'token' }, { ports: [{ port: 'no port' }] })))
  assert.deepEqual(s.wanted(), [])
  s.db.commit((tx) => tx.put(from, policy('a', { namespace: 'copies', name: 'token' })))
  assert.deepEqual(s.wanted(), [])
})

test('of two secrets that want one name the one whose copy is there keeps it', () => {
  const s = stage()
  const both = [
    { namespace: 'a', name: 'b-c', type: 'Opaque', data: {} },
    { namespace: 'a-b', name: 'c', type: 'Opaque', data: {} },
  ] as const
  s.db.commit((tx) => {
    tx.put(from, policy('a', { name: 'b-c' }, { originatingTLS: { secret: { namespace: 'a-b', name: 'c' } } }))
    for (const source of both) tx.put(secretSources, source)
  })
  assert.deepEqual(s.kinds(), [['a-b-c', 'of a-b/c']], 'there is one copy')
  const copy = { name: 'a-b-c', owner: both[1], type: 'Opaque', data: {}, uid: 'u', resourceVersion: '1' }
  s.db.commit((tx) => tx.put(secretCopies, copy))
  assert.deepEqual(s.kinds(), [])
})

test('copies say whose they are; a secret that is none is left alone', async () => {
  const kube = fakeKube()
  const target = secretTarget(kube, 'copies')
  const source = { namespace: 'a', name: 'token', type: 'Opaque', data: { token: 'eA==' } }
  assert.deepEqual(await target.write([{ name: 'a-token', source, copy: undefined }]), [{ ok: true }])
  const made = kube.objects.get(pathOf(SECRETS, 'copies', 'a-token'))
  assert.deepEqual(
    [made?.metadata.labels, made?.['data']],
    [{ [ownerLabels.namespace]: 'a', [ownerLabels.name]: 'token' }, { token: 'eA==' }],
  )
  const [again] = await target.write([{ name: 'a-token', source, copy: undefined }])
  assert.equal(again?.ok, false)
  const { uid = '', resourceVersion = '' } = made?.metadata ?? {}
  const copy = { name: 'a-token', owner: source, type: 'Opaque', data: source.data, uid, resourceVersion }
  assert.deepEqual(await target.write([{ name: 'a-token', source: { ...source, type: 'other' }, copy }]), [
    { ok: true },
  ])
  assert.deepEqual(
    kube.calls.map((c) => c.split(' ')[0]),
    ['POST', 'POST', 'DELETE', 'POST'],
  )
})
