import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

// Certificates for tests, written by hand in DER: the platform reads them but does not make them.

const tlv = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  const { length } = body
  const head =
    length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), body])
}
const sequence = (...parts: Uint8Array[]) => tlv(0x30, ...parts)
const oid = (...bytes: number[]) => tlv(0x06, Buffer.from(bytes))
const ecdsaSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const name = (text: string) =>
  sequence(tlv(0x31, sequence(oid(0x55, 0x04, 0x03), tlv(0x0c, Buffer.from(text)))))
const time = (text: string) => tlv(0x18, Buffer.from(text))

export interface Identity {
  readonly name: string
  readonly key: string
  readonly cert: string
  readonly privateKey: KeyObject
}

/** An identity for 127.0.0.1 and localhost, signed by `issuer` or by itself. */
export function makeIdentity(commonName: string, issuer?: Identity): Identity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const names = sequence(
    tlv(0x82, Buffer.from('localhost')),
    tlv(0x87, Buffer.from([127, 0, 0, 1])),
  )
  const isAuthority = issuer === undefined
  const extensions = sequence(
    sequence(oid(0x55, 0x1d, 0x11), tlv(0x04, names)),
    ...(isAuthority
      ? [
          sequence(
            oid(0x55, 0x1d, 0x13),
            tlv(0x01, Buffer.from([0xff])),
            tlv(0x04, sequence(tlv(0x01, Buffer.from([0xff])))),
          ),
        ]
      : []),
  )
  const content = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, Buffer.from([0x01, ...randomBytes(8)])),
    ecdsaSha256,
    name(issuer?.name ?? commonName),
    sequence(time('20200101000000Z'), time('20990101000000Z')),
    name(commonName),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, extensions),
  )
  const signature = sign('sha256', content, issuer?.privateKey ?? privateKey)
  const der = sequence(content, ecdsaSha256, tlv(0x03, Buffer.from([0]), signature))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return {
    name: commonName,
    privateKey,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
  }
}
