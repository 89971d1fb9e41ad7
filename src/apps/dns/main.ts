// SPDX-License-Identifier: Apache-2.0
/** The cluster's name server: `cilium-dns -conf /etc/coredns/Corefile`, called as CoreDNS is. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { findAccess } from '../../edge/kube/access.ts'
import { openKube } from '../../edge/kube/client.ts'
import { followCluster } from './cluster.ts'
import { parseCorefile, resolversOf } from './corefile.ts'
import { listenDns } from './server.ts'
import { createUpstream } from './upstream.ts'
import { createZone } from './zone.ts'

const log = (text: string) => console.log(`${new Date().toISOString()} ${text}`)

const argument = (name: string): string | undefined => {
  const at = process.argv.findIndex((a) => a.replace(/^-+/, '') === name)
  return at < 0 ? undefined : process.argv[at + 1]
}

const serveProbe = (port: number | undefined, path: string, ok: () => boolean) => {
  if (port === undefined) return
  const server = createServer((request, response) => {
    response.statusCode = request.url?.split('?')[0] !== path ? 404 : ok() ? 200 : 503
    response.end(response.statusCode === 200 ? 'OK' : '')
  })
  server.on('error', (error) => fail(`${path}: ${error.message}`))
  server.listen(port)
}

const fail = (why: string): never => {
  console.error(`cilium-dns: ${why}`)
  process.exit(1)
}

const run = async () => {
  const file = argument('conf') ?? 'Corefile'
  const settings = parseCorefile(readFileSync(file, 'utf8'), () => resolversOf('/etc/resolv.conf'))
  const port = Number(argument('dns.port') ?? argument('p') ?? settings.port)
  const zone = settings.domain === undefined ? undefined : createZone(settings.domain)
  let ready = zone === undefined
  const ending = new AbortController()
  serveProbe(settings.healthPort, '/health', () => true)
  serveProbe(settings.readyPort, '/ready', () => ready)
  if (zone) {
    const kubeconfig = argument('kubeconfig')
    const kube = openKube(findAccess(kubeconfig === undefined ? {} : { kubeconfig }))
    const synced = () => {
      ready = true
      log('services and endpoints are known')
    }
    void followCluster(kube, zone, synced, ending.signal, log).catch((error) => fail(String(error)))
  }
  const upstream = settings.upstreams.length > 0 ? { upstream: createUpstream(settings.upstreams) } : {}
  const server = await listenDns(
    { ...(zone ? { zone } : {}), ...upstream, local: settings.local, known: () => ready },
    port,
  )
  log(
    `answering on port ${server.port}${zone ? ` for ${zone.domain}` : ''}, others by ${settings.upstreams.join(', ') || 'nobody'}`,
  )
  process.once('SIGTERM', () => {
    ending.abort()
    server.close()
    process.exit(0)
  })
}

await run().catch((error: Error) => fail(error.message))
