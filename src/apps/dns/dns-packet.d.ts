// SPDX-License-Identifier: Apache-2.0

/** The part of dns-packet that this program uses (the package ships no types). */
declare module 'dns-packet' {
  export interface Question {
    readonly name: string
    readonly type: string
    readonly class?: string
  }
  export interface SrvData {
    readonly priority: number
    readonly weight: number
    readonly port: number
    readonly target: string
  }
  export interface SoaData {
    readonly mname: string
    readonly rname: string
    readonly serial: number
    readonly refresh: number
    readonly retry: number
    readonly expire: number
    readonly minimum: number
  }
  export type Answer =
    | {
        readonly type: 'A' | 'AAAA' | 'CNAME' | 'PTR'
        readonly name: string
        readonly ttl: number
        readonly data: string
      }
    | { readonly type: 'SRV'; readonly name: string; readonly ttl: number; readonly data: SrvData }
    | { readonly type: 'SOA'; readonly name: string; readonly ttl: number; readonly data: SoaData }
    | { readonly type: 'TXT'; readonly name: string; readonly ttl: number; readonly data: string | readonly string[] }
    | { readonly type: 'OPT'; readonly name: '.'; readonly udpPayloadSize: number; readonly flags: number }
  export interface Packet {
    readonly type?: 'query' | 'response'
    readonly id?: number
    /** Header flags; the low four bits are the response code. */
    readonly flags?: number
    readonly questions?: readonly Question[]
    readonly answers?: readonly Answer[]
    readonly authorities?: readonly Answer[]
    readonly additionals?: readonly Answer[]
  }
  export interface Decoded extends Packet {
    readonly id: number
    readonly type: 'query' | 'response'
    readonly flags: number
    readonly opcode: string
    readonly rcode: string
    readonly questions: readonly Question[]
    readonly answers: readonly Answer[]
    readonly additionals: readonly Answer[]
  }
  export function encode(packet: Packet): Uint8Array
  export function decode(bytes: Uint8Array): Decoded
  export const RECURSION_DESIRED: number
  export const RECURSION_AVAILABLE: number
  export const TRUNCATED_RESPONSE: number
  export const AUTHORITATIVE_ANSWER: number
}
