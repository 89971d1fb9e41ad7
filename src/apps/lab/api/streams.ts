// SPDX-License-Identifier: Apache-2.0
import type { Duplex, Readable, Writable } from 'node:stream'

/** The terminal's size in characters, whenever it changes. */
export interface TerminalSize {
  readonly width: number
  readonly height: number
}

/** The client's ends. What is undefined was not asked for. The server ends `stdin` when the client does. */
export interface ProcessStreams {
  readonly stdin?: Readable
  readonly stdout?: Writable
  /** Never given together with `tty`. */
  readonly stderr?: Writable
  readonly tty: boolean
  /** Sizes as they come; absent without a terminal. */
  readonly resize?: AsyncIterable<TerminalSize>
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal
}

/** Options of `pods/log`. */
export interface LogOptions {
  readonly follow: boolean
  readonly previous: boolean
  readonly timestamps: boolean
  readonly tailLines?: number
  readonly limitBytes?: number
  /** Milliseconds since the epoch. */
  readonly since?: number
  readonly signal: AbortSignal
}

/** Which pod: namespace, name and the uid that the API server saw. */
export interface PodRef {
  readonly namespace: string
  readonly name: string
  readonly uid: string
}

/**
 * What the API server asks of a node's kubelet, in process. A failure that the client should read is thrown as a
 * StatusError (container not found, not running); any other error becomes a 500 with its message.
 */
export interface KubeletStreams {
  /** Runs a command in a container; resolves with its exit code once all its output is written. */
  exec(pod: PodRef, container: string, command: readonly string[], streams: ProcessStreams): Promise<number>
  /** Joins the main process; resolves when it ends or the client goes away. */
  attach(pod: PodRef, container: string, streams: ProcessStreams): Promise<void>
  /** The container's log, whole lines as written; ends at once unless `follow`. */
  logs(pod: PodRef, container: string, options: LogOptions): AsyncIterable<Uint8Array>
  /** A connection to `port` on the pod's loopback. Rejects with the dial error. */
  portForward(pod: PodRef, port: number): Promise<Duplex>
}

/** Finds the kubelet of a node by the node's name; undefined when that node has none. */
export type FindKubelet = (nodeName: string) => KubeletStreams | undefined
