import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nkeys } from '@nats-io/transport-node'
import { afterEach, describe, expect, it } from 'vitest'
import { resolveSecrets } from '../../src/core/secret.ts'
import type { Topology } from '../../src/messaging/transport.ts'
import { createNatsTransport } from '../../src/messaging/transports/nats/index.ts'
import { startNatsServer } from './nats-server.ts'
import { withService } from './service-url.ts'

const jetStream = 'jetstream { store_dir: "FOLDER/data" }'
type KeyPair = ReturnType<typeof nkeys.createUser>
const seedOf = (pair: KeyPair) => Buffer.from(pair.getSeed()).toString()

/** A token as `nsc` makes it: claims of the subject, signed by the issuer (NATS JWT, version 2). */
function jwtOf(subject: KeyPair, issuer: KeyPair, nats: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const [iss, sub] = [issuer.getPublicKey(), subject.getPublicKey()]
  const claims = { jti: sub, iat: 1_700_000_000, iss, sub, name: sub, nats }
  const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(claims)}`
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`
}

/** A server whose accounts are those of an operator, and the file of credentials of one user. */
function operatorPlace() {
  const pairs = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createAccount()] as const
  const [operator, account, system] = pairs
  const user = nkeys.createUser()
  const unlimited = {
    subs: -1,
    data: -1,
    payload: -1,
    conn: -1,
    leaf: -1,
    imports: -1,
    exports: -1,
  }
  const store = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1, wildcards: true }
  const accountOf = (limits: Readonly<Record<string, unknown>>) => ({
    type: 'account',
    version: 2,
    limits: { ...unlimited, ...limits },
  })
  const lines = `${jetStream}
operator: ${jwtOf(operator, operator, { type: 'operator', version: 2 })}
system_account: ${system.getPublicKey()}
resolver: MEMORY
resolver_preload: {
  ${account.getPublicKey()}: ${jwtOf(account, operator, accountOf(store))}
  ${system.getPublicKey()}: ${jwtOf(system, operator, accountOf({}))}
}`
  const claims = { type: 'user', version: 2, subs: -1, data: -1, payload: -1 }
  const credentials = (seed: string) =>
    [
      '-----BEGIN NATS USER JWT-----',
      jwtOf(user, account, claims),
      '------END NATS USER JWT------',
      '',
      '-----BEGIN USER NKEY SEED-----',
      seed,
      '------END USER NKEY SEED------',
      '',
    ].join('\n')
  return { lines, right: credentials(seedOf(user)), wrong: credentials(seedOf(nkeys.createUser())) }
}

function makeCertificate(folder: string): { readonly key: string; readonly cert: string } {
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
  const what = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost']
  execFileSync('openssl', ['req', ...what, '-addext', names, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  })
  return { key, cert }
}

const channelsOf = (...addresses: string[]): Topology => ({
  channels: addresses.map((address) => ({ address, ordering: 'per-key' })),
  groups: [],
})

await withService('nats', () => {
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  const serverWith = async (lines: string) => {
    const own = await startNatsServer(lines)
    ends.push(() => own.stop())
    return own
  }
  const folderOf = () => {
    const folder = mkdtempSync(join(tmpdir(), 'treaty-nats-access-'))
    ends.push(async () => rmSync(folder, { recursive: true, force: true }))
    return folder
  }
  /** The code of the error and its hint, or `taken`. */
  const outcome = async (url: string) => {
    const transport = createNatsTransport({ url, leaseMs: 1500 })
    ends.push(() => transport.close({ drainMs: 0 }))
    return transport.connect().then(
      () => 'taken',
      (error: { code: string; hint?: string }) => `${error.code}: ${error.hint}`,
    )
  }

  describe('nats', () => {
    it('with TLS is reached with TLS only, and with a certificate that is trusted', async () => {
      const { key, cert } = makeCertificate(folderOf())
      const own = await serverWith(`${jetStream}\ntls { cert_file: "${cert}", key_file: "${key}" }`)
      const at = (options: string) => `tls://localhost:${own.port}${options}`
      expect(await outcome(at(`?ca=${encodeURIComponent(cert)}`))).toBe('taken')
      expect(await outcome(at('?verify=false'))).toBe('taken')
      expect(await outcome(at(''))).toMatch(/^BROKER_TLS_FAILED/)
      expect(await outcome(`nats://localhost:${own.port}`)).toMatch(/^BROKER_TLS_FAILED/)
    })

    it('that asks for a certificate takes the right one only', async () => {
      const [folder, other] = [folderOf(), folderOf()]
      const { key, cert } = makeCertificate(folder)
      const stranger = makeCertificate(other)
      const own = await serverWith(
        `${jetStream}\ntls { cert_file: "${cert}", key_file: "${key}", ca_file: "${cert}", verify: true }`,
      )
      const at = (mine: { readonly key: string; readonly cert: string }) =>
        `tls://localhost:${own.port}?${new URLSearchParams({ ca: cert, ...mine })}`
      expect(await outcome(at({ key, cert }))).toBe('taken')
      // The server says nothing: it ends the connection after the client took the handshake for done.
      expect(await outcome(at(stranger))).toMatch(/^BROKER_.*\?cert=FILE/)
    })

    it('takes the seed of an NKey by a secret reference, and refuses another', async () => {
      const user = nkeys.createUser()
      const own = await serverWith(
        `${jetStream}\nauthorization { users: [{ nkey: ${user.getPublicKey()} }] }`,
      )
      const written = `nats://127.0.0.1:${own.port}?nkey=secret://env/NATS_SEED`
      const at = (seed: string) => resolveSecrets(written, { NATS_SEED: seed }).reveal()
      expect(await outcome(at(seedOf(user)))).toBe('taken')
      expect(await outcome(at(seedOf(nkeys.createUser())))).toMatch(/^BROKER_ACCESS_DENIED/)
      expect(await outcome(`nats://127.0.0.1:${own.port}`)).toMatch(/^BROKER_ACCESS_DENIED/)
    })

    it('takes credentials as a file and by a secret reference, and refuses those of another', async () => {
      const folder = folderOf()
      const { lines, right, wrong } = operatorPlace()
      const own = await serverWith(lines)
      const [rightFile, wrongFile] = [join(folder, 'right.creds'), join(folder, 'wrong.creds')]
      writeFileSync(rightFile, right)
      writeFileSync(wrongFile, wrong)
      const at = (creds: string) => `nats://127.0.0.1:${own.port}?creds=${creds}`
      expect(await outcome(at(encodeURIComponent(rightFile)))).toBe('taken')
      const byReference = resolveSecrets(at(`secret://file${rightFile}`), {}).reveal()
      expect(await outcome(byReference)).toBe('taken')
      expect(await outcome(at(encodeURIComponent(wrongFile)))).toMatch(/^BROKER_ACCESS_DENIED/)
      expect(await outcome(at(encodeURIComponent(join(folder, 'none.creds'))))).toMatch(
        /^BROKER_URL_INVALID/,
      )
    })

    it('whose account has no JetStream is refused, though the server has it', async () => {
      const own = await serverWith(`${jetStream}
accounts { SHOP { users: [{ user: ada, password: right }] } }`)
      expect(await outcome(`nats://ada:right@127.0.0.1:${own.port}`)).toMatch(/^BROKER_UNSAFE/)
    })

    it('whose account may have no more streams says so, and keeps what is there', async () => {
      const own = await serverWith(`${jetStream}
accounts { SHOP { jetstream { max_streams: 4 }, users: [{ user: ada, password: right }] } }`)
      const url = `nats://ada:right@127.0.0.1:${own.port}`
      const transport = createNatsTransport({ url, leaseMs: 1500 })
      ends.push(() => transport.close({ drainMs: 0 }))
      await transport.connect()
      await transport.ensure(channelsOf('orders'), 'create')
      await expect(transport.ensure(channelsOf('orders', 'more'), 'create')).rejects.toMatchObject({
        code: 'BROKER_FULL',
        message: expect.stringMatching(/maximum number of streams/),
      })
      const [taken] = await transport.publish([recordOf('orders', 'm1')])
      expect(taken).toMatchObject({ id: 'm1' })
    })

    it('whose account has used up its storage says so for each message', async () => {
      const own = await serverWith(`${jetStream}
accounts { SHOP { jetstream { max_file: 2MB }, users: [{ user: ada, password: right }] } }`)
      const url = `nats://ada:right@127.0.0.1:${own.port}`
      const transport = createNatsTransport({ url, leaseMs: 1500 })
      ends.push(() => transport.close({ drainMs: 0 }))
      await transport.connect()
      await transport.ensure(channelsOf('orders'), 'create')
      const codes: string[] = []
      for (let number = 0; number < 15; number += 1) {
        const large = { ...recordOf('orders', `m${number}`), body: new Uint8Array(300_000) }
        const [result] = await transport.publish([large])
        if (result !== undefined && 'error' in result) codes.push(result.error.code)
      }
      expect(codes.length).toBeGreaterThan(5)
      expect(new Set(codes)).toEqual(new Set(['BROKER_FULL']))
    })
  })
})

function recordOf(address: string, id: string) {
  const body = new TextEncoder().encode('{"number":1}')
  const contentType = 'application/json'
  return { id, address, type: 'placed', key: id, body, headers: {}, contentType }
}
