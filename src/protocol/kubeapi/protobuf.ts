// SPDX-License-Identifier: Apache-2.0
import { findMessage, formOf, type Message, messageOf } from './schema.ts'
import { badRequest } from './status.ts'
import { base64, utf8 } from './text.ts'

/** First bytes of `application/vnd.kubernetes.protobuf`. */
const magic = [0x6b, 0x38, 0x73, 0]

/**
 * Scalars whose zero was set on purpose when it is on the wire: Go holds them by pointer, so JSON would carry the zero.
 * All other scalars are written even when unset, and their zero means absent.
 */
const zeroIsMeant = new Set(
  `replicas terminationGracePeriodSeconds automountServiceAccountToken runAsUser runAsGroup fsGroup
runAsNonRoot privileged allowPrivilegeEscalation readOnlyRootFilesystem enableServiceLinks shareProcessNamespace hostUsers
setHostnameAsFQDN immutable optional backoffLimit completions parallelism ttlSecondsAfterFinished activeDeadlineSeconds
suspend revisionHistoryLimit tolerationSeconds gracePeriodSeconds orphanDependents controller blockOwnerDeletion
expirationSeconds defaultMode mode allocateLoadBalancerNodePorts ready serving terminating leaseDurationSeconds
leaseTransitions holderIdentity partition maximum minimum maxLength minLength maxItems minItems maxProperties
minProperties multipleOf served storage x-kubernetes-preserve-unknown-fields limit progressDeadlineSeconds started
allowed denied`.split(/\s+/),
)

/** The object in an `application/vnd.kubernetes.protobuf` body, as JSON. Throws BadRequest. */
export function decodeProtobuf(bytes: Uint8Array): Record<string, unknown> {
  if (!magic.every((byte, i) => bytes[i] === byte))
    throw badRequest('the body is no Kubernetes protobuf: it lacks its four byte prefix')
  let apiVersion = ''
  let kind = ''
  let raw: Uint8Array = new Uint8Array()
  for (const part of wireFields(bytes.subarray(4))) {
    if (part.number === 1 && part.bytes) {
      for (const type of wireFields(part.bytes)) {
        if (type.number === 1) apiVersion = utf8(type.bytes!)
        if (type.number === 2) kind = utf8(type.bytes!)
      }
    } else if (part.number === 2 && part.bytes) raw = part.bytes
  }
  const message = messageOf(apiVersion, kind)
  if (!message) throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}" in protobuf; send JSON`)
  return { apiVersion, kind, ...decodeMessage(message, raw) }
}

interface WireField {
  readonly number: number
  /** Of a varint or fixed field. */
  readonly value: number
  readonly bytes: Uint8Array | undefined
}

function* wireFields(bytes: Uint8Array): Generator<WireField> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined || shift > 63n) throw truncated()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    const number = tag >>> 3
    const wire = tag & 7
    if (wire === 0) yield { number, value: Number(BigInt.asIntN(64, varint())), bytes: undefined }
    else if (wire === 2) {
      const length = Number(varint())
      if (at + length > bytes.length) throw truncated()
      yield { number, value: 0, bytes: bytes.subarray(at, at + length) }
      at += length
    } else if (wire === 1 || wire === 5) {
      const size = wire === 1 ? 8 : 4
      if (at + size > bytes.length) throw truncated()
      yield { number, value: wire === 1 ? view.getFloat64(at, true) : view.getFloat32(at, true), bytes: undefined }
      at += size
    } else throw badRequest(`protobuf: wire type ${wire} is not known`)
  }
}

const truncated = () => badRequest('protobuf: the message ends too early')

function decodeMessage(message: Message, bytes: Uint8Array): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const part of wireFields(bytes)) {
    const field = message.byNumber.get(part.number)
    if (!field) continue
    if (field.inline) {
      Object.assign(out, decodeMessage(findMessage(field.type)!, part.bytes ?? new Uint8Array()))
    } else if (field.shape === 'list') {
      ;((out[field.json] ??= []) as unknown[]).push(decodeValue(field.type, part))
    } else if (field.shape === 'map') {
      const [key, value] = decodeEntry(field.type, part)
      ;((out[field.json] ??= {}) as Record<string, unknown>)[key] = value
    } else {
      const value = decodeValue(field.type, part)
      const zero = value === '' || value === 0 || value === false || value === undefined
      if (!zero || zeroIsMeant.has(field.json)) out[field.json] = value
    }
  }
  return out
}

function decodeEntry(type: string, part: WireField): [string, unknown] {
  let key = ''
  let value: unknown = type === 's' || type === 'y' ? '' : {}
  for (const entry of wireFields(part.bytes ?? new Uint8Array())) {
    if (entry.number === 1) key = utf8(entry.bytes!)
    if (entry.number === 2) value = decodeValue(type, entry)
  }
  return [key, value]
}

function decodeValue(type: string, part: WireField): unknown {
  const bytes = part.bytes ?? new Uint8Array()
  switch (type) {
    case 's':
      return utf8(bytes)
    case 'y':
      return base64(bytes)
    case 'b':
      return part.value !== 0
    case 'i':
    case 'd':
      return part.value
  }
  const form = formOf(type)
  return form ? decodeForm(type, bytes) : decodeMessage(findMessage(type)!, bytes)
}

function decodeForm(type: string, bytes: Uint8Array): unknown {
  const parts = [...wireFields(bytes)]
  const part = (number: number) => parts.find((p) => p.number === number)
  const schema = (p: WireField) =>
    decodeMessage(findMessage('apiextensions.v1.JSONSchemaProps')!, p.bytes ?? new Uint8Array())
  switch (type) {
    case 'meta.v1.Time':
    case 'meta.v1.MicroTime':
      if (parts.length === 0) return undefined
      return time(part(1)?.value ?? 0, type === 'meta.v1.Time' ? undefined : (part(2)?.value ?? 0))
    case 'meta.v1.Duration':
      return `${(part(1)?.value ?? 0) / 1e9}s`
    case 'resource.Quantity':
      return utf8(part(1)?.bytes ?? new Uint8Array())
    case 'intstr.IntOrString':
      return (part(1)?.value ?? 0) === 1 ? utf8(part(3)?.bytes ?? new Uint8Array()) : (part(2)?.value ?? 0)
    case 'apiextensions.v1.JSONSchemaPropsOrArray':
      return part(1) ? schema(part(1)!) : parts.filter((p) => p.number === 2).map(schema)
    case 'apiextensions.v1.JSONSchemaPropsOrBool':
      return part(2) ? schema(part(2)!) : (part(1)?.value ?? 0) !== 0
    case 'apiextensions.v1.JSONSchemaPropsOrStringArray':
      return part(1) ? schema(part(1)!) : parts.map((p) => utf8(p.bytes!))
    case 'authentication.v1.ExtraValue':
    case 'authorization.v1.ExtraValue':
      return parts.map((p) => utf8(p.bytes!))
    default:
      return json(utf8(part(1)?.bytes ?? new Uint8Array()))
  }
}

function json(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw badRequest('protobuf: a JSON field holds no JSON')
  }
}

/** Seconds since the epoch as RFC 3339, with microseconds when `nanos` is given. */
function time(seconds: number, nanos?: number): string {
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19)
  return nanos === undefined ? `${whole}Z` : `${whole}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`
}
