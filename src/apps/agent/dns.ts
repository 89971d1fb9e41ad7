// SPDX-License-Identifier: Apache-2.0
import { dnsListeners } from '../../derive/proxy/tables.ts'
import { type DnsControl, openDnsControl } from '../../edge/dns/control.ts'
import { type Learnt, SOCKET } from '../../edge/dns/messages.ts'
import type { DnsListenerRow } from '../../model/proxy.ts'
import { learntNames } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import { deriveEach } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import type { Log } from './log.ts'
import type { RequestLog } from './requests.ts'

/** What a status tells when the listeners fail because nobody answers. */
const ABSENT =
  'no DNS proxy is connected, so names are not answered where policy has rules for them: run DaemonSet cilium-dns-proxy'

/** Opens the agent's side of the DNS proxy. It serves once everything is known. */
export function openDns(
  stateDir: string,
  db: Database,
  requests: RequestLog,
  learn: (answer: Learnt) => Promise<void>,
  log: Log,
): DnsControl {
  const dns = openDnsControl({
    path: `${stateDir}/${SOCKET}`,
    absent: ABSENT,
    sink: {
      learn,
      get wanted() {
        return requests.wanted
      },
      take: requests.takeNames,
    },
  })
  requests.onWanted(() => dns.wantedChanged())
  const known = db.cursor(learntNames)
  db.listen((changed) => {
    if (!changed.has(learntNames.name)) return
    const less = known.next().some(({ before, after }) => before?.names.some((n) => !after?.names.includes(n)))
    if (less) dns.forget()
  })
  let there = 0
  dns.onChange(() => {
    if (dns.connected === there) return
    log('info', dns.connected > there ? 'the DNS proxy has come' : 'the DNS proxy has gone', {
      connected: dns.connected,
    })
    there = dns.connected
  })
  return dns
}

/** Policy waits for this table, as for `proxyGate`. */
export const dnsGate = deriveEach<DnsListenerRow, { readonly key: string }>(
  'dnsGate',
  dnsListeners,
  { key: (r) => r.key },
  (row) => [{ key: row.name }],
)

export const dnsGateTarget = (dns: DnsControl): Target<{ readonly key: string }> => ({
  name: 'DNS gate',
  key: (r) => r.key,
  load: () => [],
  equal: () => false,
  async write(rows) {
    await dns.tried(rows.map((r) => r.key))
    return rows.map((): Outcome => ({ ok: true }))
  },
  remove: (rows) => rows.map((): Outcome => ({ ok: true })),
})
