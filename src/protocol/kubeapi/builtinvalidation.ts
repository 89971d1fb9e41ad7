// SPDX-License-Identifier: Apache-2.0
import { isMap, type KubeObject, sameJson } from './object.ts'
import type { Resource } from './resources.ts'
import { type LabelSelector, matchesLabels } from './selector.ts'
import { type FieldProblem, notSupported, required, wrongValue } from './status.ts'

type Fields = Record<string, unknown>
const fields = (value: unknown): Fields => (isMap(value) ? value : {})
const list = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.filter(isMap) : [])

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const service = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const qualified =
  /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const labelValue = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/

const subdomainText =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const labelText =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const serviceText =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"

/** Problems of name, labels and annotations, of any kind. */
export function metadataProblems(resource: Resource, object: KubeObject): readonly FieldProblem[] {
  const { name = '', labels = {}, annotations = {} } = object.metadata
  const out: FieldProblem[] = []
  const bad = (field: string, value: unknown, why: string) => out.push(wrongValue(field, value, why))
  if (resource.group === 'rbac.authorization.k8s.io') {
    if (/[/%]/.test(name) || name === '.' || name === '..') bad('metadata.name', name, "may not contain '/' or '%'")
  } else if (resource.plural === 'services' && !service.test(name)) bad('metadata.name', name, serviceText)
  else if (resource.plural === 'namespaces' && !label.test(name)) bad('metadata.name', name, labelText)
  else if (!subdomain.test(name)) bad('metadata.name', name, subdomainText)
  const limit = resource.plural === 'namespaces' || resource.plural === 'services' ? 63 : 253
  if (name.length > limit) bad('metadata.name', name, `must be no more than ${limit} characters`)
  for (const [key, value] of Object.entries(labels)) {
    if (!qualified.test(key))
      bad(
        'metadata.labels',
        key,
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
      )
    if (!labelValue.test(value))
      bad(
        'metadata.labels',
        value,
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
      )
  }
  const size = Object.entries(annotations).reduce((sum, [key, value]) => sum + key.length + String(value).length, 0)
  if (size > 262144)
    out.push({
      field: 'metadata.annotations',
      reason: 'FieldValueTooLong',
      message: 'Too long: may not be more than 262144 bytes',
    })
  return out
}

function port(value: unknown, at: string, out: FieldProblem[]): void {
  if (value !== undefined && (typeof value !== 'number' || value < 1 || value > 65535))
    out.push(wrongValue(at, value, 'must be between 1 and 65535, inclusive'))
}

function oneOf(value: unknown, at: string, allowed: readonly string[], out: FieldProblem[]): void {
  if (value !== undefined && !allowed.includes(String(value))) out.push(notSupported(at, value, allowed))
}

function podSpec(spec: Fields, at: string, out: FieldProblem[]): void {
  const names = new Set<unknown>()
  if (list(spec['containers']).length === 0) out.push(required(`${at}.containers`))
  const volumes = new Set(list(spec['volumes']).map((v) => v['name']))
  for (const kind of ['initContainers', 'containers']) {
    for (const [i, c] of list(spec[kind]).entries()) {
      const here = `${at}.${kind}[${i}]`
      if (!c['name']) out.push(required(`${here}.name`))
      else if (!label.test(String(c['name']))) out.push(wrongValue(`${here}.name`, c['name'], labelText))
      else if (names.has(c['name']))
        out.push({
          field: `${here}.name`,
          reason: 'FieldValueDuplicate',
          message: `Duplicate value: ${JSON.stringify(c['name'])}`,
        })
      names.add(c['name'])
      if (!c['image']) out.push(required(`${here}.image`))
      for (const [k, p] of list(c['ports']).entries()) {
        if (p['containerPort'] === undefined) out.push(required(`${here}.ports[${k}].containerPort`))
        port(p['containerPort'], `${here}.ports[${k}].containerPort`, out)
        oneOf(p['protocol'], `${here}.ports[${k}].protocol`, ['SCTP', 'TCP', 'UDP'], out)
      }
      for (const [k, m] of list(c['volumeMounts']).entries()) {
        if (!volumes.has(m['name']))
          out.push({
            field: `${here}.volumeMounts[${k}].name`,
            reason: 'FieldValueNotFound',
            message: `Not found: ${JSON.stringify(m['name'])}`,
          })
        if (!m['mountPath']) out.push(required(`${here}.volumeMounts[${k}].mountPath`))
      }
    }
  }
  oneOf(spec['restartPolicy'], `${at}.restartPolicy`, ['Always', 'OnFailure', 'Never'], out)
  oneOf(spec['dnsPolicy'], `${at}.dnsPolicy`, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'], out)
}

function workload(object: KubeObject, old: KubeObject | undefined, out: FieldProblem[]): void {
  const spec = fields(object['spec'])
  const template = fields(spec['template'])
  const labels = fields(fields(template['metadata'])['labels']) as Record<string, string>
  const selector = spec['selector']
  if (!isMap(selector)) out.push(required('spec.selector'))
  else if (object.kind !== 'Job' && !matchesLabels(selector as LabelSelector, labels)) {
    out.push(wrongValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'))
  }
  if (old && !sameJson(fields(old['spec'])['selector'], selector))
    out.push(wrongValue('spec.selector', selector, 'field is immutable'))
  podSpec(fields(template['spec']), 'spec.template.spec', out)
  const replicas = spec['replicas']
  if (typeof replicas === 'number' && replicas < 0)
    out.push(wrongValue('spec.replicas', replicas, 'must be greater than or equal to 0'))
}

/** The parts of a pod's spec that may not change once it is made. */
function fixedPart(object: KubeObject): Fields {
  const {
    containers,
    initContainers,
    activeDeadlineSeconds: _,
    tolerations: __,
    nodeName: ___,
    ephemeralContainers: ____,
    schedulingGates: _____,
    terminationGracePeriodSeconds: ______,
    ...rest
  } = fields(object['spec'])
  const withoutImage = (c: unknown) => list(c).map(({ image: _, resources: __, ...kept }) => kept)
  return { ...rest, containers: withoutImage(containers), initContainers: withoutImage(initContainers) }
}

function pod(object: KubeObject, old: KubeObject | undefined, out: FieldProblem[]): void {
  podSpec(fields(object['spec']), 'spec', out)
  if (old && !sameJson(fixedPart(old), fixedPart(object))) {
    const why =
      'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'
    out.push({ field: 'spec', reason: 'FieldValueForbidden', message: `Forbidden: ${why}` })
  }
}

function serviceProblems(object: KubeObject, old: KubeObject | undefined, out: FieldProblem[]): void {
  const spec = fields(object['spec'])
  oneOf(spec['type'], 'spec.type', ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'], out)
  const ports = list(spec['ports'])
  if (ports.length === 0 && spec['type'] !== 'ExternalName' && spec['clusterIP'] !== 'None')
    out.push(required('spec.ports'))
  const seen = new Set<string>()
  for (const [i, p] of ports.entries()) {
    const at = `spec.ports[${i}]`
    if (p['port'] === undefined) out.push(required(`${at}.port`))
    port(p['port'], `${at}.port`, out)
    if (typeof p['targetPort'] === 'number') port(p['targetPort'], `${at}.targetPort`, out)
    oneOf(p['protocol'], `${at}.protocol`, ['SCTP', 'TCP', 'UDP'], out)
    if (ports.length > 1 && !p['name']) out.push(required(`${at}.name`))
    const key = `${p['protocol']}/${p['port']}`
    if (seen.has(key))
      out.push({
        field: at,
        reason: 'FieldValueDuplicate',
        message: `Duplicate value: ${JSON.stringify({ port: p['port'], protocol: p['protocol'] })}`,
      })
    seen.add(key)
  }
  const had = old && fields(old['spec'])['clusterIP']
  const became = fields(old?.['spec'])['type'] !== 'ExternalName' && spec['type'] !== 'ExternalName'
  if (had && became && had !== spec['clusterIP'])
    out.push(wrongValue('spec.clusterIPs[0]', spec['clusterIP'], 'may not change once set'))
}

function crd(object: KubeObject, out: FieldProblem[]): void {
  const spec = fields(object['spec'])
  const names = fields(spec['names'])
  for (const key of ['plural', 'kind']) if (!names[key]) out.push(required(`spec.names.${key}`))
  if (!spec['group']) out.push(required('spec.group'))
  oneOf(spec['scope'] ?? '', 'spec.scope', ['Cluster', 'Namespaced'], out)
  const wanted = `${names['plural']}.${spec['group']}`
  if (object.metadata.name !== wanted)
    out.push(wrongValue('metadata.name', object.metadata.name, 'must be spec.names.plural+"."+spec.group'))
  const versions = list(spec['versions'])
  if (versions.filter((v) => v['storage'] === true).length !== 1)
    out.push(wrongValue('spec.versions', names['kind'], 'must have exactly one version marked as storage version'))
  for (const [i, v] of versions.entries()) {
    if (!v['name']) out.push(required(`spec.versions[${i}].name`))
    const schema = fields(v['schema'])['openAPIV3Schema']
    if (!isMap(schema)) out.push(required(`spec.versions[${i}].schema.openAPIV3Schema`, 'schemas are required'))
    else if (schema['type'] !== 'object')
      out.push(
        wrongValue(`spec.versions[${i}].schema.openAPIV3Schema.type`, schema['type'], 'must be object at the root'),
      )
  }
}

const policyPorts = (object: KubeObject, out: FieldProblem[]): void => {
  const spec = fields(object['spec'])
  for (const way of ['ingress', 'egress']) {
    for (const [i, rule] of list(spec[way]).entries()) {
      for (const [k, p] of list(rule['ports']).entries()) {
        const at = `spec.${way}[${i}].ports[${k}]`
        if (typeof p['port'] === 'number') port(p['port'], `${at}.port`, out)
        oneOf(p['protocol'], `${at}.protocol`, ['TCP', 'UDP', 'SCTP'], out)
        if (typeof p['endPort'] === 'number' && typeof p['port'] === 'number' && p['endPort'] < p['port']) {
          out.push(wrongValue(`${at}.endPort`, p['endPort'], 'must be greater than or equal to `port`'))
        }
      }
    }
  }
}

/** What is wrong with an object of a built-in kind. Empty when all is well. */
export function builtinProblems(object: KubeObject, old: KubeObject | undefined): readonly FieldProblem[] {
  const out: FieldProblem[] = []
  switch (object.kind) {
    case 'Pod':
      pod(object, old, out)
      break
    case 'Deployment':
    case 'ReplicaSet':
    case 'DaemonSet':
    case 'StatefulSet':
    case 'Job':
      workload(object, old, out)
      break
    case 'Service':
      serviceProblems(object, old, out)
      break
    case 'NetworkPolicy':
      policyPorts(object, out)
      break
    case 'CustomResourceDefinition':
      crd(object, out)
      break
  }
  return out
}
