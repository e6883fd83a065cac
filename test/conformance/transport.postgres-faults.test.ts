import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Delivery, Transport } from '../../src/messaging/transport.ts'
import { createPostgresTransport } from '../../src/messaging/transports/postgres/index.ts'
import { type ConnectOptions, describeTransport, faultProxy } from '../../src/testing/index.ts'
import { freshSchema, onPostgres } from './postgres-place.ts'
import { type OwnService, startOwnService, withService } from './service-url.ts'

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
