// SPDX-License-Identifier: Apache-2.0
/** Cilium's own client, and the images of its connectivity test. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copied, file, imageArchive, layer, link } from '../../tools/oci.ts'
import { base, program, programPath } from '../../tools/userland.ts'
import { compile, layerCache, stale } from './build.ts'
import { built } from './places.ts'

/** What the connectivity test runs in its pods. */
export const clientImages = {
  client: 'quay.io/cilium/alpine-curl:v1.10.0',
  server: 'quay.io/cilium/json-mock:v1.3.8',
} as const

/** Programs that the test executes there, with the Debian package of each. */
const tools: readonly (readonly [name: string, debianPackage: string, as?: string])[] = [
  ['bash', 'bash'],
  ['curl', 'curl'],
  ['dig', 'bind9-dnsutils'],
  ['ip', 'iproute2'],
  ['nc.openbsd', 'netcat-openbsd', 'nc'],
  ['nslookup', 'bind9-dnsutils'],
  ['ping', 'iputils-ping'],
  ['tcpdump', 'tcpdump'],
]

/** Cilium's own client, unchanged, and the images of its connectivity test. Returns its path and theirs. */
export async function buildClient(): Promise<{ readonly program: string; readonly archives: readonly string[] }> {
  const from = join(import.meta.dirname, 'client')
  if (stale('cilium', from)) await compile('cilium', 'github.com/cilium/cilium/cilium-cli/cmd/cilium', '-s -w', from)
  if (stale('mock', join(from, 'mock'))) await compile('mock', './mock', '-s -w', from)
  const image = (
    name: keyof typeof clientImages,
    entrypoint: readonly string[],
    entries: Parameters<typeof layer>[0],
  ) => {
    const path = join(built, `client-${name}.tar`)
    writeFileSync(path, imageArchive([{ name: clientImages[name], entrypoint, layers: [layer(entries, layerCache)] }]))
    return path
  }
  return {
    program: join(built, 'cilium'),
    archives: [
      image(
        'client',
        ['/usr/bin/pause'],
        [
          // Busybox' shell would take its own programs of these names, which say less.
          ...base().filter((e) => e.path !== '/bin/sh'),
          link('/bin/sh', '/usr/bin/bash'),
          copied(join(built, 'pause'), '/usr/bin/pause'),
          ...tools.flatMap(([name, from, as = name]) => program(programPath(name, from), `/usr/bin/${as}`)),
          file('/etc/ssl/certs/ca-certificates.crt', ''), // the test appends the authority of the world
        ],
      ),
      image('server', ['/mock'], [...base(), copied(join(built, 'mock'), '/mock')]),
    ],
  }
}
