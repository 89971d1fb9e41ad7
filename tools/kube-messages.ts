// SPDX-License-Identifier: Apache-2.0
/**
 * Takes the protobuf messages of Kubernetes' API types out of Go binaries that embed their descriptors (kubectl 1.34, and
 * a Helm that links apiextensions) and writes those the lab serves to gen/kubeapi/messages.ts. Struct tags in the same
 * binaries tell which fields are inline in JSON and how a strategic merge patch treats lists.
 *
 * Usage: node tools/kube-messages.ts
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { constants, gunzipSync } from 'node:zlib'
import { fromBinary } from '@bufbuild/protobuf'
import {
  type DescriptorProto,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt'
import { builtinResources } from '../src/protocol/kubeapi/resources.ts'

const root = new URL('..', import.meta.url)
const program = (version: string, name: string) =>
  readFileSync(
    execFileSync('sh', [new URL('tools/kubectl.sh', root).pathname, version, name], { encoding: 'utf8' }).trim(),
  )

const packages: Readonly<Record<string, string>> = { '': 'core', 'rbac.authorization.k8s.io': 'rbac' }
const short = (name: string): string =>
  name
    .replace(/^\./, '')
    .replace(/^k8s\.io\.api\./, '')
    .replace(/^k8s\.io\.apimachinery\.pkg\.(apis|api|util)\./, '')
    .replace(/^k8s\.io\.apimachinery\.pkg\./, '')
    .replace(/^k8s\.io\.apiextensions_apiserver\.pkg\.apis\./, '')

const roots = [
  ...builtinResources.map((r) => `${packages[r.group] ?? r.group.split('.')[0]}.${r.version}.${r.kind}`),
  'autoscaling.v1.Scale',
  'policy.v1.Eviction',
  'core.v1.Binding',
  'events.v1.Event',
  'authentication.v1.TokenRequest',
  'authentication.v1.TokenReview',
  'authentication.v1.SelfSubjectReview',
  'authorization.v1.SubjectAccessReview',
  'authorization.v1.LocalSubjectAccessReview',
  'authorization.v1.SelfSubjectAccessReview',
  'authorization.v1.SelfSubjectRulesReview',
  'meta.v1.DeleteOptions',
]

interface Tag {
  readonly json: string
  readonly strategy: string
  readonly mergeKey: string
}

const messages = new Map<string, DescriptorProto>()
const tags = new Map<string, Tag[]>()

function readBinary(bytes: Buffer): void {
  const gzip = Buffer.from([0x1f, 0x8b, 8])
  for (let at = bytes.indexOf(gzip); at >= 0; at = bytes.indexOf(gzip, at + 1)) {
    let raw: Buffer
    try {
      raw = gunzipSync(bytes.subarray(at, at + 400_000), { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 4e6 })
      const file = fromBinary(FileDescriptorProtoSchema, raw)
      if (!file.name.endsWith('.proto')) continue
      for (const message of file.messageType) {
        const name = short(`${file.package}.${message.name}`)
        if (!messages.has(name)) messages.set(name, message)
      }
    } catch {}
  }
  const text = bytes.toString('latin1')
  const tag =
    /json:"([^"]{0,80})"(?: patchStrategy:"([^"]*)")?(?: patchMergeKey:"([^"]*)")?(?: listType:"[^"]*")? protobuf:"(\w+),(\d+),(\w+),name=(\w+)[^"]{0,120}"/g
  for (const [, json = '', strategy = '', mergeKey = '', , number, , name] of text.matchAll(tag)) {
    const key = `${name}/${number}`
    const held = tags.get(key) ?? []
    if (!held.some((t) => t.json === json && t.mergeKey === mergeKey))
      tags.set(key, [...held, { json, strategy, mergeKey }])
  }
}

/** Where the tag alone does not tell: the same name and number mean a merged list in one struct and a plain one in another. */
const mergedOnlyIn: Readonly<Record<string, RegExp>> = {
  'ports/1': /ServiceSpec$/,
  'conditions/1': /Status$/,
  'conditions/2': /Status$/,
  'conditions/4': /Status$/,
  'conditions/6': /Status$/,
  'conditions/7': /Status$/,
  'conditions/10': /Status$/,
  'addresses/5': /NodeStatus$/,
  'selector/2': /PodDisruptionBudgetSpec$/,
  'strategy/4': /DeploymentSpec$/,
  'secrets/2': /ServiceAccount$/,
  'env/7': /Container(Common)?$/,
  'variables/7': /ValidatingAdmissionPolicySpec$/,
  'volumes/1': /PodSpec$/,
  'containers/2': /PodSpec$/,
  'ports/6': /Container(Common)?$/,
}

const scalar = new Map<FieldDescriptorProto_Type, string>([
  [FieldDescriptorProto_Type.STRING, 's'],
  [FieldDescriptorProto_Type.BOOL, 'b'],
  [FieldDescriptorProto_Type.INT32, 'i'],
  [FieldDescriptorProto_Type.INT64, 'i'],
  [FieldDescriptorProto_Type.UINT32, 'i'],
  [FieldDescriptorProto_Type.DOUBLE, 'd'],
  [FieldDescriptorProto_Type.BYTES, 'y'],
])

function write(): string {
  const lines: string[] = []
  const done = new Set<string>()
  const todo = [...roots]
  for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
    if (done.has(name)) continue
    done.add(name)
    const message = messages.get(name)
    if (!message) throw new Error(`no descriptor of ${name}`)
    const reach = (type: string): string => {
      const target = short(type)
      todo.push(target)
      return target
    }
    const fields = message.field.map((field) => {
      const held = tags.get(`${field.name}/${field.number}`) ?? []
      const entry = message.nestedType.find((n) => field.typeName.endsWith(`.${message.name}.${n.name}`))
      const named = held.map((t) => t.json.replace(/,.*/, '')).filter((name) => name !== '' && name !== '-')
      const inline =
        (held.some((t) => t.json === ',inline') && named.length === 0) || field.name === 'ephemeralContainerCommon'
      const list = field.label === FieldDescriptorProto_Label.REPEATED
      const typeOf = (f: typeof field): string => scalar.get(f.type) ?? reach(f.typeName)
      const type = entry ? `{${typeOf(entry.field[1]!)}` : `${list ? '[' : ''}${typeOf(field)}`
      const patch = held.find((t) => t.strategy !== '')
      const where = mergedOnlyIn[`${field.name}/${field.number}`]
      const merged = patch && (where ? where.test(message.name) : true)
      const mark = inline
        ? '~'
        : merged
          ? `@${patch.strategy.includes('retainKeys') ? '=' : ''}${patch.strategy === 'replace' ? '!' : patch.mergeKey}`
          : ''
      const own = field.jsonName || field.name
      const json = inline || named.includes(own) ? own : (named[0] ?? own)
      return `${json},${field.number},${type}${mark}`
    })
    lines.push([name, ...fields].join(' '))
  }
  return `${lines.sort().join('\n')}\n`
}

readBinary(program('34', 'kubectl'))
readBinary(program('32', 'helm'))
mkdirSync(new URL('gen/kubeapi/', root), { recursive: true })
writeFileSync(
  new URL('gen/kubeapi/messages.ts', root),
  `// SPDX-License-Identifier: Apache-2.0
// Made by tools/kube-messages.ts. Do not edit.
/**
 * Kubernetes 1.34 messages, one a line: name, then fields as \`json,number,type\`. Types: s string, b bool, i integer,
 * d double, y bytes, else a message; [ list of, { map from string to. Behind it: ~ inline in JSON; @key merged by that
 * key in a strategic merge patch (@ alone: merged as a set), @= keeps only given keys, @! replaced.
 */
export const messages = \`
${write()}\`
`,
)
