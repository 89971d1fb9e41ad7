// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'

/** Where the API server is and what proves who we are. */
export interface Access {
  /** Base URL without a trailing slash. */
  readonly server: string
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly insecure?: boolean
  readonly serverName?: string
  /** The bearer token now; `fresh` forgets what is cached (after a 401). */
  readonly token?: (fresh?: boolean) => string
  readonly namespace?: string
}

export const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount'
const TOKEN_CACHE_MS = 60_000

/** Reads the file at most once a minute: the kubelet renews projected tokens in place. */
export function tokenFile(path: string, now: () => number = Date.now): (fresh?: boolean) => string {
  let text = ''
  let readAt = Number.NEGATIVE_INFINITY
  return (fresh = false) => {
    if (fresh || now() - readAt > TOKEN_CACHE_MS) {
      text = readFileSync(path, 'utf8').trim()
      readAt = now()
    }
    return text
  }
}

/** Credentials of a pod. `server` overrides the address from the environment (`k8s-api-server`). */
export function inClusterAccess(
  env: NodeJS.ProcessEnv = process.env,
  server?: string,
  dir = SERVICE_ACCOUNT_DIR,
): Access {
  const host = env['KUBERNETES_SERVICE_HOST']
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443'
  if (!server && !host)
    throw new Error('no Kubernetes: neither --k8s-kubeconfig-path, --k8s-api-server nor KUBERNETES_SERVICE_HOST is set')
  const url = server || `https://${host?.includes(':') ? `[${host}]` : host}:${port}`
  return {
    server: url.replace(/\/$/, ''),
    ...(url.startsWith('https:') ? { ca: readFileSync(`${dir}/ca.crt`) } : {}),
    token: tokenFile(`${dir}/token`),
  }
}

interface Named {
  readonly name: string
  readonly [field: string]: unknown
}

/** The current (or named) context of a kubeconfig. Exec plugins and auth providers are not supported and say so. */
export function kubeconfigAccess(path: string, context?: string): Access {
  const config = parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  const find = (list: string, name: unknown, field: string): Record<string, unknown> => {
    const entry = ((config[list] ?? []) as Named[]).find((e) => e.name === name)
    if (!entry) throw new Error(`${path}: ${list} has no entry ${JSON.stringify(name)}`)
    return (entry[field] ?? {}) as Record<string, unknown>
  }
  const chosen = find('contexts', context ?? config['current-context'], 'context')
  const cluster = find('clusters', chosen['cluster'], 'cluster')
  const user = chosen['user'] === undefined ? {} : find('users', chosen['user'], 'user')
  if (user['exec'] || user['auth-provider'])
    throw new Error(`${path}: exec and auth-provider credentials are not supported`)
  const data = (from: Record<string, unknown>, inline: string, file: string): Buffer | undefined => {
    if (typeof from[inline] === 'string') return Buffer.from(from[inline], 'base64')
    if (typeof from[file] === 'string') return readFileSync(resolve(dirname(path), from[file]))
    return undefined
  }
  const ca = data(cluster, 'certificate-authority-data', 'certificate-authority')
  const cert = data(user, 'client-certificate-data', 'client-certificate')
  const key = data(user, 'client-key-data', 'client-key')
  const token =
    typeof user['token'] === 'string'
      ? () => user['token'] as string
      : typeof user['tokenFile'] === 'string'
        ? tokenFile(resolve(dirname(path), user['tokenFile']))
        : undefined
  if (typeof cluster['server'] !== 'string')
    throw new Error(`${path}: cluster ${String(chosen['cluster'])} has no server`)
  return {
    server: cluster['server'].replace(/\/$/, ''),
    ...(ca ? { ca } : {}),
    ...(cert ? { cert } : {}),
    ...(key ? { key } : {}),
    ...(token ? { token } : {}),
    ...(cluster['insecure-skip-tls-verify'] === true ? { insecure: true } : {}),
    ...(typeof cluster['tls-server-name'] === 'string' ? { serverName: cluster['tls-server-name'] } : {}),
    ...(typeof chosen['namespace'] === 'string' ? { namespace: chosen['namespace'] } : {}),
  }
}

/** The usual order: an explicit kubeconfig, an explicit server, the pod's own credentials. */
export function findAccess(
  options: { readonly kubeconfig?: string; readonly server?: string },
  env = process.env,
): Access {
  if (options.kubeconfig) return kubeconfigAccess(options.kubeconfig)
  return inClusterAccess(env, options.server || undefined)
}
