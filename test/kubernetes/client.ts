// SPDX-License-Identifier: Apache-2.0
/** Cilium's own client, and the images of its connectivity test. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { copied, file, imageArchive, layer } from '../../tools/oci.ts'
import { base, program, programPath } from '../../tools/userland.ts'
import { compile, layerCache, stale } from './build.ts'
import { built } from './places.ts'

/** What the connectivity test runs in its pods. */
export const clientImages = {
  client: 'quay.io/cilium/alpine-curl:v1.10.0',
  server: 'quay.io/cilium/json-mock:v1.3.8',
} as const

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
          ...base(),
          copied(join(built, 'pause'), '/usr/bin/pause'),
          ...program(programPath('curl', 'curl')),
          ...program(programPath('nc.openbsd', 'netcat-openbsd'), '/usr/bin/nc'),
          ...program(programPath('ip', 'iproute2'), '/usr/bin/ip'),
          ...program(programPath('tcpdump', 'tcpdump'), '/usr/bin/tcpdump'),
          ...program(programPath('ping', 'iputils-ping'), '/usr/bin/ping'),
          ...['nslookup', 'dig'].flatMap((name) => program(programPath(name, 'bind9-dnsutils'), `/usr/bin/${name}`)),
          file('/etc/ssl/certs/ca-certificates.crt', ''), // the test appends the authority of the world
        ],
      ),
      image('server', ['/mock'], [...base(), copied(join(built, 'mock'), '/mock')]),
    ],
  }
}
