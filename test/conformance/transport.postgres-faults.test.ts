import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Delivery, Transport } from '../../src/messaging/transport.ts'
import { createPostgresTransport } from '../../src/messaging/transports/postgres/index.ts'
import { type ConnectOptions, describeTransport, faultProxy } from '../../src/testing/index.ts'
import { freshSchema, onPostgres } from './postgres-place.ts'
import { type OwnService, startOwnService, withService } from './service-url.ts'

/** Restarts a server with a certificate, and without a way in for those who come in the open. Its own authority. */
async function wantTls(own: OwnService): Promise<string> {
  const hba = await onPostgres(own.url, async (client) => {
    const { rows } = await client.query('SHOW hba_file')
    return String(rows[0]?.hba_file)
  })
  const [key, certificate] = [join(dirname(hba), 'tls.key'), join(dirname(hba), 'tls.crt')]
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const files = ['-keyout', key, '-out', certificate]
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...files, ...names],
    { stdio: 'ignore' },
  )
  const { uid, gid } = statSync(hba)
  for (const file of [key, certificate]) chownSync(file, uid, gid)
  chmodSync(key, 0o600)
  await onPostgres(own.url, async (client) => {
    await client.query(`ALTER SYSTEM SET ssl_key_file = '${key}'`)
    await client.query(`ALTER SYSTEM SET ssl_cert_file = '${certificate}'`)
    await client.query('ALTER SYSTEM SET ssl = on')
  })
  writeFileSync(hba, 'hostssl all treaty 127.0.0.1/32 trust\n')
  await onPostgres(own.url, (client) => client.query('SELECT pg_reload_conf()'))
  const isOpen = () => onPostgres(own.url, async () => true).catch(() => false)
  // The server looks at its new rules when it has time.
  while (await isOpen()) await delay(20)
  return certificate
}

await withService('postgres', async (server) => {
  describe('with a server of its own', () => {
    let own: OwnService
    beforeAll(async () => {
      own = await startOwnService('postgres')
    })
    afterAll(() => own.dispose())

    void describeTransport(
      'postgres, whose server is killed and restarted,',
      () => {
        const place = freshSchema(own.url)
        return {
          async connect(options?: ConnectOptions) {
            const transport = createPostgresTransport({ ...options, url: place.url })
            await transport.connect()
            return transport
          },
          async restart() {
            own.kill()
            await own.start()
          },
          dispose: place.drop,
        }
      },
      { runner: { describe, it }, only: [8, 33], patience: 2 },
    )
  })

  describe('with a server that takes connections over TLS alone', () => {
    let own: OwnService
    let authority: string
    beforeAll(async () => {
      own = await startOwnService('postgres')
      authority = await wantTls(own)
    })
    afterAll(() => own.dispose())
    const opened = async (parameters: Record<string, string>) => {
      const url = new URL(own.url)
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
      const transport = createPostgresTransport({ url: url.href })
      await transport.connect()
      await transport.close({ drainMs: 0 })
    }

    it('sslmode=disable is refused with the parameter that is missing', async () => {
      for (const parameters of [{ sslmode: 'disable' }, {}]) {
        await expect(opened(parameters)).rejects.toMatchObject({
          code: 'STORE_TLS_FAILED',
          hint: expect.stringContaining('sslmode=verify-full'),
          details: { state: '28000' },
        })
      }
    })

    it('sslmode=verify-full is let in with the authority, and refused without', async () => {
      await opened({ sslmode: 'verify-full', sslrootcert: authority })
      await expect(opened({ sslmode: 'verify-full' })).rejects.toMatchObject({
        code: 'STORE_TLS_FAILED',
        hint: expect.stringContaining('sslrootcert'),
      })
    })

    it('a client over TLS whom no line allows is told of the line that may be for others', async () => {
      const parameters = { sslmode: 'verify-full', sslrootcert: authority, user: 'nobody' }
      await expect(opened(parameters)).rejects.toMatchObject({
        code: 'STORE_ACCESS_DENIED',
        hint: expect.stringContaining('sslmode=disable'),
      })
    })
  })

  it('a server without TLS refuses sslmode=verify-full with the parameter to set', async () => {
    const url = new URL(server)
    url.searchParams.set('sslmode', 'verify-full')
    const transport = createPostgresTransport({ url: url.href })
    await expect(transport.connect()).rejects.toMatchObject({
      code: 'STORE_TLS_FAILED',
      hint: expect.stringContaining('sslmode=disable'),
    })
  })

  void describeTransport(
    'postgres, whose connections are cut,',
    async () => {
      const place = freshSchema(server)
      const target = new URL(place.url)
      const proxy = await faultProxy({ host: target.hostname, port: Number(target.port) })
      target.port = String(proxy.port)
      return {
        async connect(options?: ConnectOptions) {
          const transport = createPostgresTransport({ ...options, url: target.href })
          await transport.connect()
          return transport
        },
        cut: async () => proxy.cut(),
        async dispose() {
          await proxy.close()
          await place.drop()
        },
      }
    },
    { runner: { describe, it }, only: [34], patience: 2 },
  )

  describe('a publish on PostgreSQL', () => {
    it('whose connection ends in the middle is unconfirmed, as on every broker', async () => {
      const place = freshSchema(server)
      const target = new URL(place.url)
      const proxy = await faultProxy({ host: target.hostname, port: Number(target.port) })
      target.port = String(proxy.port)
      const transport = createPostgresTransport({ url: target.href })
      try {
        await transport.connect()
        await transport.ensure(
          { channels: [{ address: 'orders', ordering: 'none' }], groups: [] },
          'create',
        )
        proxy.freeze()
        const published = transport.publish([
          {
            id: '1',
            address: 'orders',
            type: 'placed',
            body: new Uint8Array(),
            headers: {},
            contentType: 'application/json',
          },
        ])
        // Once it is on its way, that is in a later turn.
        setTimeout(() => proxy.cut(), 100)
        await expect(published).rejects.toMatchObject({ code: 'PUBLISH_UNCONFIRMED' })
      } finally {
        await transport.close({ drainMs: 0 })
        await proxy.close()
        await place.drop()
      }
    })
  })

  describe('an effect on PostgreSQL', () => {
    const scene = async () => {
      const place = freshSchema(server)
      const transport = createPostgresTransport({ url: place.url })
      await transport.connect()
      await transport.ensure(
        {
          channels: [{ address: 'orders', ordering: 'per-key' }],
          groups: [
            {
              name: 'shop.billing',
              consumer: 'billing',
              subscriptions: [{ address: 'orders', types: '*' }],
              start: 'earliest',
              deliveriesMax: 5,
              deadLetter: {
                address: 'dead',
                retentionMs: 60_000,
                onDead: 'next',
                onExpired: 'drop',
              },
            },
          ],
        },
        'create',
      )
      await onPostgres(server, (client) =>
        client.query(`CREATE TABLE ${place.schema}.bill (id text PRIMARY KEY)`),
      )
      const bills = () =>
        onPostgres(server, async (client) => {
          const { rows } = await client.query(`SELECT id FROM ${place.schema}.bill ORDER BY id`)
          return rows.map((row: { id: string }) => row.id)
        })
      const end = async () => {
        await transport.close({ drainMs: 0 })
        await place.drop()
      }
      return { transport, schema: place.schema, bills, end }
    }
    type Sql = { query(text: string, values?: unknown[]): Promise<unknown> }

    const receive = async (transport: Transport): Promise<Delivery> => {
      const got = Promise.withResolvers<Delivery>()
      const subscription = await transport.subscribe({ group: 'shop.billing' }, ([delivery]) => {
        if (delivery !== undefined) got.resolve(delivery)
      })
      subscription.grant(1)
      await transport.publish([
        {
          id: 'm1',
          address: 'orders',
          type: 'placed',
          key: 'k',
          body: new Uint8Array([1]),
          headers: {},
          contentType: 'text/plain',
        },
      ])
      return got.promise
    }

    it('may wait, and commits with the acknowledgement', async () => {
      const { transport, schema, bills, end } = await scene()
      const delivery = await receive(transport)
      const results = await transport.settle([
        {
          outcome: 'ack',
          delivery,
          effect: async (tx) => {
            await (tx as Sql).query(`INSERT INTO ${schema}.bill VALUES ($1)`, ['a'])
            await new Promise((resolve) => setTimeout(resolve, 50))
            await (tx as Sql).query(`INSERT INTO ${schema}.bill VALUES ($1)`, ['b'])
          },
        },
      ])

      expect(results).toEqual([{ ok: true }])
      expect(await bills()).toEqual(['a', 'b'])
      await end()
    })

    it('that fails undoes what it wrote, and the delivery stays out', async () => {
      const { transport, schema, bills, end } = await scene()
      const delivery = await receive(transport)
      const insert = async (tx: unknown) => {
        await (tx as Sql).query(`INSERT INTO ${schema}.bill VALUES ('a')`)
      }
      const [failed] = await transport.settle([
        {
          outcome: 'ack',
          delivery,
          effect: async (tx) => {
            await insert(tx)
            // The same key twice: PostgreSQL itself refuses.
            await insert(tx)
          },
        },
      ])
      expect(failed).toMatchObject({ ok: false, reason: 'error', error: { code: '23505' } })
      expect(await bills()).toEqual([])

      expect(await transport.settle([{ outcome: 'ack', delivery, effect: insert }])).toEqual([
        { ok: true },
      ])
      expect(await bills()).toEqual(['a'])
      await end()
    })

    it('that ends the transaction by itself is refused', async () => {
      const { transport, end } = await scene()
      const delivery = await receive(transport)
      const [result] = await transport.settle([
        {
          outcome: 'ack',
          delivery,
          effect: async (tx) => {
            await (tx as Sql).query('COMMIT')
          },
        },
      ])

      expect(result).toMatchObject({ ok: false, error: { code: 'EFFECT_INVALID' } })
      expect(await transport.settle([{ outcome: 'ack', delivery }])).toEqual([{ ok: true }])
      await end()
    })

    it('of a delivery that was handed on does not run', async () => {
      const { transport, schema, bills, end } = await scene()
      const delivery = await receive(transport)
      // What a takeover does.
      await onPostgres(server, async (client) => {
        await client.query(`DELETE FROM ${schema}.bus_lease`)
        await client.query(
          `UPDATE ${schema}.bus_delivery SET state = 1, owner = 999, deliveries = deliveries + 1`,
        )
      })
      const [result] = await transport.settle([
        {
          outcome: 'ack',
          delivery,
          effect: async (tx) => {
            await (tx as Sql).query(`INSERT INTO ${schema}.bill VALUES ('late')`)
          },
        },
      ])

      expect(result).toEqual({ ok: false, reason: 'lost' })
      expect(await bills()).toEqual([])
      await end()
    })
  })
})
