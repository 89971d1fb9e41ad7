// SPDX-License-Identifier: Apache-2.0
import { conditionOf, readPolicy } from '../../derive/policy/policies.ts'
import type { Kube } from '../../edge/kube/client.ts'
import { reflect } from '../../edge/kube/reflector.ts'
import { type KubeObject, SECRETS } from '../../edge/kube/resource.ts'
import { isNotFound } from '../../edge/kube/status.ts'
import type { HealthScope } from '../../edge/runtime/scope.ts'
import { type PolicyObject, policyKey } from '../../model/policy.ts'
import type { SecretRef } from '../../model/proxy.ts'
import { settings } from '../../model/rows.ts'
import { copyName, ownerLabels, ownerOf } from '../../model/secret.ts'
import type { Database } from '../../table/database.ts'
import { deriveAll, deriveEach, table } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { judgedPolicies } from './policies.ts'

/*
 *  judged policies ─► policySecretRefs ─► wantedSecrets ─┬─► a watch for each ─► secretSources ─┐
 *                                                        └──────────────────────────────────────┴─► secretDeeds
 *  secrets with our labels in the namespace of copies ──────────────────────► secretCopies ─────┘
 */

/** What a secret holds; `data` is absent where there is no such secret. */
export interface SecretSource extends SecretRef {
  readonly type: string
  readonly data: Readonly<Record<string, string>> | undefined
}

export interface SecretCopy {
  readonly name: string
  readonly owner: SecretRef
  readonly type: string
  readonly data: Readonly<Record<string, string>>
  readonly uid: string
  readonly resourceVersion: string
}

/** A copy to write, or without `source` to delete; gone when the watch shows it done. */
export interface SecretDeed {
  readonly name: string
  readonly source: SecretSource | undefined
  readonly copy: SecretCopy | undefined
}

const refKey = (r: SecretRef): string => `${r.namespace}/${r.name}`

export const secretSources = table<SecretSource>('secretSources', { key: refKey })
export const secretCopies = table<SecretCopy>('secretCopies', { key: (c) => c.name })

/** The tables for the namespace of copies; what is in it already needs no copy. */
export function secretTables(namespace: string) {
  const kinds = [judgedPolicies.CiliumNetworkPolicy, judgedPolicies.CiliumClusterwideNetworkPolicy] as const
  const refs = kinds.map((from) =>
    deriveEach(
      `${from.name}Secrets`,
      from,
      { key: (r: { readonly policy: string; readonly refs: readonly SecretRef[] }) => r.policy },
      ({ policy }, read) => {
        const found = secretRefs(policy)
        // What does not count as a policy names nothing.
        const counts =
          found.length > 0 && conditionOf(readPolicy(policy, read.get(settings, 'settings'))).status === 'True'
        return counts ? [{ policy: policyKey(policy), refs: found }] : []
      },
    ),
  )
  const wantedSecrets = deriveAll<SecretRef>('wantedSecrets', refs, { key: refKey }, (read) => {
    const all = refs.flatMap((t) => read.all(t).flatMap((r) => r.refs)).filter((r) => r.namespace !== namespace)
    return [...new Map(all.map((r) => [refKey(r), r])).values()]
  })
  const secretDeeds = deriveAll<SecretDeed>(
    'secretDeeds',
    [wantedSecrets, secretSources, secretCopies],
    { key: (d) => d.name },
    (read) => {
      const owners = new Map<string, SecretRef>()
      // Two secrets can want one name: whose copy it is keeps it.
      for (const ref of [...read.all(wantedSecrets)].sort((a, b) => (refKey(a) < refKey(b) ? -1 : 1))) {
        const name = copyName(ref)
        const holder = read.get(secretCopies, name)?.owner
        if (!owners.has(name) || (holder && refKey(holder) === refKey(ref))) owners.set(name, ref)
      }
      const deeds: SecretDeed[] = []
      for (const [name, ref] of owners) {
        const source = read.get(secretSources, refKey(ref))
        const copy = read.get(secretCopies, name)
        if (source?.data && !isCopy(source, copy)) deeds.push({ name, source, copy })
        if (source && !source.data && copy) deeds.push({ name, source: undefined, copy })
      }
      for (const copy of read.all(secretCopies))
        if (!owners.has(copy.name)) deeds.push({ name: copy.name, source: undefined, copy })
      return deeds
    },
  )
  return { refs, wantedSecrets, secretDeeds }
}

const isCopy = (source: SecretSource, copy: SecretCopy | undefined): boolean =>
  copy !== undefined &&
  refKey(copy.owner) === refKey(source) &&
  copy.type === source.type &&
  JSON.stringify(sorted(copy.data)) === JSON.stringify(sorted(source.data ?? {}))

const sorted = (data: Readonly<Record<string, string>>) => Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1))

/** The secrets that a policy names: of TLS, and of headers. */
export function secretRefs({ object, namespace }: Pick<PolicyObject, 'object' | 'namespace'>): readonly SecretRef[] {
  const found: SecretRef[] = []
  const take = (holder: unknown) => {
    const secret = (holder as { readonly secret?: Partial<SecretRef> } | undefined)?.secret
    const of = secret?.namespace || namespace
    if (of && secret?.name) found.push({ namespace: of, name: secret.name })
  }
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) for (const one of value) walk(one)
    else if (value !== null && typeof value === 'object')
      for (const [key, one] of Object.entries(value)) {
        if (key === 'terminatingTLS' || key === 'originatingTLS') take(one)
        else if (key === 'headerMatches' && Array.isArray(one)) one.forEach(take)
        else walk(one)
      }
  }
  walk(object['spec'])
  walk(object['specs'])
  return found
}

interface Content {
  readonly type?: string
  readonly data?: Readonly<Record<string, string>>
}

/** Watches the secrets that policies name, each by itself, and the copies. */
export function followSecrets(
  kube: Kube,
  db: Database,
  wantedSecrets: ReturnType<typeof secretTables>['wantedSecrets'],
  namespace: string,
  scope: HealthScope,
  log: (message: string) => void,
): void {
  const health = (of: string) => (e?: Error) => e && log(`watch ${of}: ${e.message}`)
  scope.loop('watch copies of secrets', () =>
    reflect(
      kube,
      { resource: SECRETS, namespace, labelSelector: ownerLabels.name },
      {
        replaced: (objects) =>
          void db.commit((tx) => {
            tx.replace(
              secretCopies,
              objects.flatMap((o) => copyFrom(o) ?? []),
            )
            tx.initialised(secretCopies)
          }),
        changed: (events) =>
          void db.commit((tx) => {
            for (const { type, object } of events) {
              const row = copyFrom(object)
              if (row && type === 'put') tx.put(secretCopies, row)
              else tx.remove(secretCopies, object.metadata.name)
            }
          }),
        health: health('copies of secrets'),
      },
      scope.signal,
    ),
  )
  const followed = new Map<string, HealthScope>()
  const follow = (ref: SecretRef): HealthScope => {
    const own = scope.child(`secret ${refKey(ref)}`)
    const say = (object: KubeObject | undefined) => {
      const { type = 'Opaque', data = {} } = (object ?? {}) as Content
      if (!own.signal.aborted)
        db.commit((tx) => tx.put(secretSources, { ...ref, type, data: object ? data : undefined }))
    }
    own.loop('watch', () =>
      reflect(
        kube,
        { resource: SECRETS, namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}` },
        {
          replaced: ([object]) => say(object),
          changed: (events) => {
            const last = events.at(-1)
            if (last) say(last.type === 'put' ? last.object : undefined)
          },
          health: health(`secret ${refKey(ref)}`),
        },
        own.signal,
      ),
    )
    return own
  }
  const look = () => {
    const wanted = new Map(db.all(wantedSecrets).map((r) => [refKey(r), r]))
    for (const [key, ref] of wanted) if (!followed.has(key)) followed.set(key, follow(ref))
    for (const [key, one] of followed) {
      if (wanted.has(key)) continue
      followed.delete(key)
      void one.close()
      db.commit((tx) => tx.remove(secretSources, key))
    }
  }
  db.commit((tx) => tx.initialised(secretSources))
  scope.onClose(db.listen((changed) => changed.has(wantedSecrets.name) && queueMicrotask(look)))
}

function copyFrom(object: KubeObject): SecretCopy | undefined {
  const { name, uid = '', resourceVersion = '', labels = {} } = object.metadata
  const owner = ownerOf(labels)
  const { type = 'Opaque', data = {} } = object as Content
  return owner && { name, owner, type, data, uid, resourceVersion }
}

/** Writes and deletes copies. A secret of the name that is no copy stays, and the row is an error. */
export const secretTarget = (kube: Kube, namespace: string): Target<SecretDeed> => ({
  name: 'copies of secrets',
  key: (d) => d.name,
  load: () => [],
  equal: () => false,
  write: (rows) =>
    Promise.all(
      rows.map(async (deed): Promise<Outcome> => {
        try {
          await act(kube, namespace, deed)
          return { ok: true }
        } catch (e) {
          return isNotFound(e) && !deed.source
            ? { ok: true }
            : { ok: false, error: e instanceof Error ? e.message : String(e) }
        }
      }),
    ),
  remove: (rows) => rows.map(() => ({ ok: true })),
})

async function act(kube: Kube, namespace: string, { name, source, copy }: SecretDeed): Promise<void> {
  // The type of a secret can not be changed.
  if (copy && (!source || copy.type !== source.type)) {
    const { uid, resourceVersion } = copy
    await kube.delete(SECRETS, namespace, name, { preconditions: { uid, resourceVersion } })
  }
  if (!source) return
  const { type, data } = source
  const labels = { [ownerLabels.namespace]: source.namespace, [ownerLabels.name]: source.name }
  const object = { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace, labels }, type, data }
  if (copy && copy.type === type)
    await kube.update(SECRETS, { ...object, metadata: { ...object.metadata, resourceVersion: copy.resourceVersion } })
  else await kube.create(SECRETS, namespace, object)
}
