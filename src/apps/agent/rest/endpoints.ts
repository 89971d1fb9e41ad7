// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto'
import { endpoints, hostAttachment } from '../../../derive/endpoints/tables.ts'
import { decisions } from '../../../derive/policy/decisions.ts'
import { subjectPrograms } from '../../../derive/policy/programs.ts'
import { subjectKeyOf } from '../../../derive/policy/subjects.ts'
import { hostEndpoint } from '../../../derive/status/host.ts'
import { type EndpointStatus, endpointStatus, statusFrom } from '../../../derive/status/tables.ts'
import { RestError, type Route } from '../../../edge/sockets/rest.ts'
import { verdict } from '../../../model/datapath.ts'
import { type Endpoint, gatewayMac, podMac } from '../../../model/endpoint.ts'
import { labelSetKey } from '../../../model/labels.ts'
import { endpointOptions, settings } from '../../../model/rows.ts'
import { changedOptions, isOn, onOff } from './options.ts'
import type { Parts } from './parts.ts'

/** Options Cilium lets one set for an endpoint; all but the audit mode are fixed here. */
function optionsOf({ db }: Parts, e: Endpoint): { readonly [name: string]: string } {
  const audit =
    db.get(endpointOptions, e.attachment)?.policyAuditMode || db.get(settings, 'settings')?.policyAuditMode === true
  return {
    ConntrackAccounting: 'Enabled',
    Debug: 'Disabled',
    DropNotification: 'Enabled',
    PolicyAuditMode: onOff(audit),
    PolicyVerdictNotification: 'Enabled',
    SourceIPVerification: 'Enabled',
    TraceNotification: 'Enabled',
  }
}

export function endpointRoutes(parts: Parts): readonly Route[] {
  const { db } = parts
  const get = (path: string, handle: (e: Endpoint) => unknown): Route => ({
    method: 'GET',
    path,
    handle: ({ params }) => ({ body: handle(find(parts, params['id'] ?? '')) }),
  })
  return [
    {
      method: 'GET',
      path: '/v1/endpoint',
      handle: ({ query }) => {
        const labels = query.getAll('labels').flatMap((l) => l.split(','))
        const all = [...db.all(endpoints), ...hosts(parts)].filter((e) =>
          labels.every((l) => e.labels.some((x) => x === l || x.endsWith(`:${l}`))),
        )
        return { body: all.map((e) => model(parts, e)) }
      },
    },
    get('/v1/endpoint/{id}', (e) => model(parts, e)),
    get('/v1/endpoint/{id}/healthz', (e) => health(statusOf(parts, e))),
    get('/v1/endpoint/{id}/log', (e) => parts.endpointLog(e.attachment)),
    get('/v1/endpoint/{id}/labels', (e) => labelConfiguration(e)),
    get('/v1/endpoint/{id}/config', (e) => ({ realized: { options: optionsOf(parts, e) }, immutable: {} })),
    {
      method: 'PATCH',
      path: '/v1/endpoint/{id}/config',
      handle: ({ params, body }) => {
        const e = find(parts, params['id'] ?? '')
        const { PolicyAuditMode } = changedOptions(body, optionsOf(parts, e), ['PolicyAuditMode'])
        if (PolicyAuditMode === undefined) return { status: 200 }
        if (!isOn(PolicyAuditMode) && db.get(settings, 'settings')?.policyAuditMode)
          throw new RestError(400, 'PolicyAuditMode: is enabled for the whole node (config PolicyAuditMode=disable)')
        const known = db.get(endpointOptions, e.attachment)
        const row = { attachment: e.attachment, policyEnforced: known?.policyEnforced ?? true }
        db.commit((tx) => tx.put(endpointOptions, { ...row, policyAuditMode: isOn(PolicyAuditMode) }))
        const kept = parts.targets.status(endpointOptions, e.attachment)
        if (kept?.kind === 'error')
          throw new RestError(500, `set, but it can not be kept over a restart: ${kept.error}`)
        return { status: 200 }
      },
    },
  ]
}

/** By number or by one of the prefixes Cilium's clients use. */
function find(parts: Parts, id: string): Endpoint {
  const { db } = parts
  const colon = id.indexOf(':')
  const [prefix, rest] = colon < 0 ? ['cilium-local', id] : [id.slice(0, colon), id.slice(colon + 1)]
  const one = ((): Endpoint | undefined => {
    switch (prefix) {
      case 'cilium-local':
      case 'cilium-global':
        return db.by(endpoints, 'id', rest)[0]
      case 'ipv4':
      case 'ipv6':
        return db.by(endpoints, 'address', rest)[0]
      case 'pod-name':
      case 'cep-name':
        return db.by(endpoints, 'pod', rest.replace(':', '/'))[0]
      case 'cni-attachment-id':
        return db.get(endpoints, rest)
      case 'container-id':
        return db.all(endpoints).find((e) => e.containerId === rest)
      default:
        throw new RestError(400, `no such kind of endpoint identifier: ${prefix}`)
    }
  })()
  const own = hosts(parts).find((h) => prefix.startsWith('cilium-') && String(h.id) === rest)
  if (own) return own
  if (!one) throw new RestError(404, `endpoint ${id} not found`)
  return one
}

const hosts = ({ db }: Parts): readonly Endpoint[] => [hostEndpoint(db)].filter((h) => h !== undefined)

const statusOf = ({ db }: Parts, e: Endpoint): EndpointStatus | undefined =>
  e.attachment === hostAttachment ? statusFrom(e, db) : db.get(endpointStatus, e.attachment)

/** An endpoint in the form of Cilium's API. */
export function model(parts: Parts, e: Endpoint): object {
  const { revisions } = parts
  const status = statusOf(parts, e)
  const policy = policyModel(parts, e, status, revisions.realised())
  return {
    id: e.id,
    spec: { 'label-configuration': {}, options: optionsOf(parts, e) },
    status: {
      'external-identifiers': {
        'cni-attachment-id': e.attachment,
        'container-id': e.containerId,
        ...(e.podName === ''
          ? {}
          : {
              'k8s-namespace': e.namespace,
              'k8s-pod-name': e.podName,
              'pod-name': `${e.namespace}/${e.podName}`,
            }),
      },
      health: health(status),
      // Without an identity the field is absent, as clients expect of an endpoint that does not have one yet.
      ...(e.identity === 0
        ? {}
        : {
            identity: {
              id: e.identity,
              labels: e.labels,
              labelsSHA256: createHash('sha256').update(labelSetKey(e.labels)).digest('hex'),
            },
          }),
      labels: labelConfiguration(e).status,
      log: parts.endpointLog(e.attachment).slice(0, 1),
      namedPorts: e.namedPorts,
      networking: {
        addressing: [{ ...(e.ipv4 ? { ipv4: e.ipv4 } : {}), ...(e.ipv6 ? { ipv6: e.ipv6 } : {}) }],
        'container-interface-name': e.ifname,
        'host-mac': gatewayMac,
        'interface-index': e.interface,
        'interface-name': e.link,
        mac: podMac,
      },
      policy: { 'proxy-statistics': [], realized: policy, spec: policy },
      realized: { 'label-configuration': {}, options: optionsOf(parts, e) },
      state: status?.state ?? 'not-ready',
    },
  }
}

function labelConfiguration(e: Endpoint) {
  return { spec: {}, status: { derived: [], disabled: [], realized: {}, 'security-relevant': e.labels } }
}

function health(status: EndpointStatus | undefined) {
  const state =
    status?.state === 'ready' || status?.state === 'regenerating'
      ? 'OK'
      : status?.state === 'invalid'
        ? 'Failure'
        : 'Bootstrap'
  return { bpf: state, policy: state, connected: state === 'OK', overallHealth: state }
}

function enabled(status: EndpointStatus | undefined): string {
  const [ingress, egress] = [status?.ingressEnforced, status?.egressEnforced]
  const directions = ingress && egress ? 'both' : ingress ? 'ingress' : egress ? 'egress' : 'none'
  return status?.audit && directions !== 'none' ? `audit-${directions}` : directions
}

function policyModel(parts: Parts, e: Endpoint, status: EndpointStatus | undefined, revision: number): object {
  const programs = parts.db.get(subjectPrograms, subjectKeyOf(e, parts.db))
  return {
    'allowed-egress-identities': allowed(parts, programs?.egress.key),
    'allowed-ingress-identities': allowed(parts, programs?.ingress.key),
    build: revision,
    'cidr-policy': { egress: [], ingress: [] },
    id: e.identity,
    l4: { egress: [], ingress: [] },
    'policy-enabled': enabled(status),
    'policy-revision': revision,
  }
}

/** Identities that may do at least something; those no rule names are left out, as there is no end of them. */
function allowed({ db }: Parts, program: string | undefined): readonly number[] {
  const decision = program === undefined ? undefined : db.get(decisions, program)
  if (!decision) return []
  const width = decision.columns.entries.length
  const passes = new Set<number>()
  for (const [i, cell] of decision.cells.entries())
    if (cell.verdict === verdict.allow || cell.verdict === verdict.redirect) passes.add(Math.floor(i / width))
  return [...decision.classes].filter(([, number]) => passes.has(number)).map(([identity]) => identity)
}
