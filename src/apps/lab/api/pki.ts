// SPDX-License-Identifier: Apache-2.0
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

export interface KeyPair {
  /** PEM. */
  readonly certificate: string
  readonly key: string
}

/** A certificate authority of the lab's own, alive as long as the lab. */
export interface Authority extends KeyPair {
  /** For a TLS server; each name is a DNS name or an IP address. */
  serving(commonName: string, names: readonly string[]): Promise<KeyPair>
  /** For a client: common name is the user, organisations the groups. */
  client(user: string, groups: readonly string[]): Promise<KeyPair>
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const day = 86_400_000

export async function openAuthority(now: number): Promise<Authority> {
  const caKeys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const validity = { notBefore: new Date(now - day), notAfter: new Date(now + 3650 * day) }
  const ca = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=kubernetes',
    ...validity,
    signingAlgorithm: algorithm,
    keys: caKeys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(
        KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.keyEncipherment,
        true,
      ),
      await SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  })

  const issue = async (subject: string, usage: ExtendedKeyUsage, names: readonly string[]): Promise<KeyPair> => {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await X509CertificateGenerator.create({
      serialNumber: serial(),
      subject,
      issuer: ca.subject,
      ...validity,
      signingAlgorithm: algorithm,
      publicKey: keys.publicKey,
      signingKey: caKeys.privateKey,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([usage]),
        await AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
        ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names.map(alternative))] : []),
      ],
    })
    return pair(certificate, keys.privateKey)
  }

  return {
    ...(await pair(ca, caKeys.privateKey)),
    serving: (commonName, names) => issue(`CN=${commonName}`, ExtendedKeyUsage.serverAuth, names),
    client: (user, groups) =>
      issue([...groups.map((g) => `O=${g}`), `CN=${user}`].join(', '), ExtendedKeyUsage.clientAuth, []),
  }
}

const alternative = (name: string) => ({
  type: /^[\d.]+$|:/.test(name) ? ('ip' as const) : ('dns' as const),
  value: name,
})
const serial = (): string => Buffer.from(webcrypto.getRandomValues(new Uint8Array(9)).with(0, 1)).toString('hex')

async function pair(certificate: X509Certificate, key: webcrypto.CryptoKey): Promise<KeyPair> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', key)
  return { certificate: certificate.toString('pem'), key: PemConverter.encode(pkcs8, 'PRIVATE KEY') }
}
