// SPDX-License-Identifier: Apache-2.0
import { request as httpRequest } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as tlsConnect } from 'node:tls'
import type { Scope } from '../../../base/scope.ts'
import type { Container, Handler, Probe } from './manifest.ts'

export interface Attempt {
  readonly ok: boolean
  readonly message: string
}

/** What a handler needs of its surroundings. */
export interface Reach {
  /** A connection from the node's network namespace: real packets from host to pod. */
  dial(address: string, port: number, timeout: number): Promise<Duplex>
  /** A command in the container, its output, its exit code. */
  exec(command: readonly string[], timeout: number): Promise<{ code: number; output: string }>
  /** Where the pod listens. */
  readonly address: string
}

/** Carries out one handler (a probe or a hook). Never throws. Milliseconds. */
export async function attempt(handler: Handler, container: Container, reach: Reach, timeout: number): Promise<Attempt> {
  try {
    if (handler.exec) {
      const { code, output } = await reach.exec(handler.exec.command ?? [], timeout)
      return { ok: code === 0, message: output.trim().slice(0, 1024) || `command exited with ${code}` }
    }
    if (handler.httpGet) return await httpGet(handler.httpGet, container, reach, timeout)
    const tcp = handler.tcpSocket ?? handler.grpc
    if (tcp) {
      const host = handler.tcpSocket?.host ?? reach.address
      const connection = await reach.dial(host, portOf(tcp.port, container), timeout)
      connection.destroy()
      return { ok: true, message: '' }
    }
    if (handler.sleep) await new Promise((resolve) => setTimeout(resolve, (handler.sleep?.seconds ?? 0) * 1000))
    return { ok: true, message: '' }
  } catch (error) {
    return { ok: false, message: (error as Error).message }
  }
}

/** A port by number or by the name a container gave it. */
export function portOf(port: number | string, container: Container): number {
  if (typeof port === 'number') return port
  const named = container.ports?.find((p) => p.name === port)?.containerPort ?? Number(port)
  if (!Number.isInteger(named)) throw new Error(`couldn't find port "${port}" in container "${container.name}"`)
  return named
}

async function httpGet(
  get: NonNullable<Handler['httpGet']>,
  container: Container,
  reach: Reach,
  timeout: number,
): Promise<Attempt> {
  const host = get.host || reach.address
  const port = portOf(get.port, container)
  const secure = get.scheme?.toUpperCase() === 'HTTPS'
  const path = get.path?.startsWith('/') ? get.path : `/${get.path ?? ''}`
  const shown = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const what = `Get "${secure ? 'https' : 'http'}://${shown}${path}"`
  const raw = await reach.dial(host, port, timeout).catch((error: Error) => {
    throw new Error(`${what}: ${error.message}`)
  })
  // A certificate is not checked, as with real kubelets: a probe asks who answers, not who that is.
  const connection = (secure ? tlsConnect({ socket: raw, rejectUnauthorized: false }) : raw) as Socket
  try {
    const { status, body } = await new Promise<{ status: number; body: string }>((resolve, reject) => {
      const headers = Object.fromEntries((get.httpHeaders ?? []).map((h) => [h.name, h.value]))
      const request = httpRequest({
        path,
        headers: { 'User-Agent': 'kube-probe/1.34', Accept: '*/*', Host: shown, ...headers },
        createConnection: () => connection,
        signal: AbortSignal.timeout(timeout),
      })
      request.on('error', (error) => {
        const late = error.name === 'AbortError' || error.name === 'TimeoutError'
        reject(new Error(`${what}: ${late ? 'context deadline exceeded' : error.message}`))
      })
      request.on('response', (response) => {
        let body = ''
        response.on('data', (data: Buffer) => (body.length < 10_240 ? (body += data) : undefined))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
        response.on('error', reject)
      })
      request.end()
    })
    const ok = status >= 200 && status < 400
    return { ok, message: ok ? body : `HTTP probe failed with statuscode: ${status}` }
  } finally {
    connection.destroy()
    raw.destroy()
  }
}

/** Repeats a probe until the result is called; `onResult` hears every attempt and, past the thresholds, the verdict. */
export function repeat(
  scope: Scope,
  name: string,
  probe: Probe,
  once: (timeout: number) => Promise<Attempt>,
  onResult: (verdict: 'success' | 'failure' | 'undecided', attempt: Attempt) => void,
  /** Ask again sooner than the period says until the first success; only whole periods count as failures. */
  eager: boolean,
): () => void {
  const { initialDelaySeconds = 0, timeoutSeconds = 1, successThreshold = 1, failureThreshold = 3 } = probe
  const period = (probe.periodSeconds ?? 10) * 1000
  let wait = eager ? Math.min(25, period) : period
  let waited = period
  let successes = 0
  let failures = 0
  let stopped = false
  const look = async () => {
    const result = await once(timeoutSeconds * 1000)
    if (stopped) return
    if (result.ok) {
      successes += 1
      failures = 0
      wait = period
    } else {
      successes = 0
      wait = Math.min(wait * 2, period)
      if (waited >= period) {
        failures += 1
        waited = 0
      }
    }
    waited += wait
    const enough = result.ok ? successes >= successThreshold : failures >= failureThreshold
    onResult(enough ? (result.ok ? 'success' : 'failure') : 'undecided', result)
    if (!stopped) cancel = scope.after(name, wait, look)
  }
  let cancel = scope.after(name, initialDelaySeconds * 1000, look)
  return () => {
    stopped = true
    cancel()
  }
}
