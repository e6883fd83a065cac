import { afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../../contracts/index.ts'
import type { TreatyError } from '../../core/errors.ts'
import { openBus } from '../../messaging/index.ts'
import { openStore, type Store } from '../../store/index.ts'
import { sign } from '../verify.ts'
import { type OpenWebhooksOptions, openWebhooks } from './open-webhooks.ts'
import type { SourceConfig, WebhooksConfig } from './webhooks-config.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const contract = defineContract({
  treaty: 1,
  id: 'shop.orders',
  version: '1.0.0',
  purpose: 'Tells every service that an order was placed, so that billing can start.',
  envelope: 'treaty',
  channels: { orders: { address: 'shop.orders', key: 'orderId' } },
  events: {
    'order.placed': {
      channel: 'orders',
      purpose: 'Sent when an order has been placed, so that billing can start.',
      schema: {
        type: 'object',
        required: ['orderId'],
        properties: { orderId: { type: 'string' }, total: { type: 'number' } },
      },
    },
  },
  producers: { shop: {} },
  consumers: {
    partners: { accepts: '^1.0.0', events: { 'order.placed': { needs: ['orderId'] } } },
  },
})
const secrets: Record<string, string> = {
  'secret://env/NEW': 'new secret',
  'secret://env/OLD': 'old secret',
  'secret://env/ACME': `whsec_${Buffer.alloc(32, 7).toString('base64')}`,
}
const shop: SourceConfig = {
  verify: { scheme: 'github', secrets: ['secret://env/NEW', 'secret://env/OLD'] },
  event: { header: 'X-Topic', map: { 'orders/create': 'order.placed' } },
  data: 'order',
}

async function world(
  config: WebhooksConfig,
  more: Partial<OpenWebhooksOptions> = {},
  kept?: Store,
) {
  const bus = await openBus({ contracts: [contract], transport: 'memory:' })
  const store = kept ?? (await openStore('memory:'))
  closing.push(() => store.close())
  const problems: TreatyError[] = []
  const webhooks = await openWebhooks(config, {
    bus,
    store,
    secret: (reference) => secrets[reference] ?? '',
    load: async () => ({}),
    onSender: (event) => {
      if (event.kind === 'problem') problems.push(event.error)
    },
    ...more,
  })
  closing.push(async () => {
    await bus.close({ drainMs: 0 })
    await webhooks.close(100)
  })
  const post = (body: unknown, headers: Record<string, string> = {}, secret = 'new secret') => {
    const rawBody = Buffer.from(JSON.stringify(body))
    const id = headers['x-github-delivery'] ?? 'd-1'
    const signed = sign({ scheme: 'github', secrets: [secret], id, timestamp: new Date(), rawBody })
    const all = { 'x-github-delivery': id, 'x-topic': 'orders/create', ...signed, ...headers }
    const request = { method: 'POST', url: '/hooks/shop', headers: all, rawBody }
    return webhooks.receiver?.receive('shop', request)
  }
  return { bus, store, webhooks, post, problems }
}

describe('a configured source', () => {
  it('takes what either secret signs, chooses the event by the header and the data by the path', async () => {
    const { bus, post, webhooks } = await world({ sources: { shop } })
    const order = { orderId: 'o-1', total: 3 }

    expect(await post({ order })).toMatchObject({ status: 200 })
    expect(await post({ order }, { 'x-github-delivery': 'd-2' }, 'old secret')).toMatchObject({
      status: 200,
    })
    expect(await post({ order }, { 'x-github-delivery': 'd-3' }, 'guess')).toMatchObject({
      status: 401,
    })
    expect(await post({ order }, { 'x-topic': 'carts/update' })).toMatchObject({ status: 200 })

    const { items } = await bus.messages({ event: 'order.placed' })
    expect(items.map(({ message }) => message?.data)).toEqual([order, order])
    expect(webhooks.receiver?.stats().shop).toMatchObject({
      outcomes: { published: 2, unverified: 1, duplicate: 1 },
      secrets: { 0: 2, 1: 1 },
    })
    expect(webhooks.paths).toEqual({ '/hooks/shop': 'shop' })
  })

  it('quarantines what has nothing at the path, and ignores or quarantines what is no event', async () => {
    const { bus, post } = await world({ sources: { shop } })
    await post({ other: 1 })
    await post({}, { 'x-topic': 'carts/update', 'x-github-delivery': 'd-2' })
    const letters = (await bus.dead.list()).items
    expect(letters).toMatchObject([{ reason: 'WEBHOOK_UNMAPPED', event: 'order.placed' }])
    expect(letters[0]?.findings?.[0]?.message).toContain('the body has nothing at order')

    const event = { header: 'X-Topic', prefix: 'shop.' }
    const other = await world({ sources: { shop: { ...shop, event } } })
    await other.post({ order: {} })
    expect((await other.bus.dead.list()).items).toMatchObject([{ reason: 'UNKNOWN_EVENT' }])
  })

  it('answers at once by a module of its own', async () => {
    const { verify } = shop
    const load = async (path: string) => ({ handle: async () => ({ body: `by ${path}` }) })
    const { post } = await world({ sources: { shop: { verify, handle: './h.ts' } } }, { load })
    expect(await post({})).toMatchObject({ status: 200, body: 'by ./h.ts' })
  })
})

describe('configured endpoints', () => {
  const egress = { https: 'optional', privateNetworks: 'allow', ports: 'any' } as const
  const url = 'http://127.0.0.1:9/hooks'

  it('get what the consumer listens to, by filter and key, and the bus is done with it at once', async () => {
    const { bus, webhooks } = await world({
      sender: { consumers: 'partners', egress, schedule: ['1h'] },
      endpoints: {
        big: {
          url,
          filter: 'data.total > 100 && key == "o-500"',
          order: 'key',
          secret: 'secret://env/ACME',
        },
        all: { url, events: 'order.*' },
      },
    })
    for (const total of [5, 500]) {
      await bus.publish('order.placed', { orderId: `o-${total}`, total })
    }
    const attempts = async (endpointId: string) =>
      (await webhooks.sender?.attempts({ endpointId }))?.items ?? []
    await expect.poll(async () => (await attempts('all')).length).toBe(2)
    await expect.poll(async () => (await attempts('big')).length).toBe(1)

    expect(await bus.stats()).toMatchObject({ published: 2, handled: 2, waiting: 0, dead: 0 })
    expect((await attempts('big'))[0]).toMatchObject({ type: 'order.placed', outcome: 'failed' })
    expect(webhooks.sender?.stats()).toMatchObject({ sent: 2, filtered: 1 })
  })

  it('that are taken out of the file are withdrawn, and come back; those of others stay', async () => {
    const store = await openStore('memory:')
    const both = { one: { url }, two: { url, description: 'second' } }
    const state = async (config: WebhooksConfig) => {
      const { webhooks } = await world({ sender: { egress }, ...config }, {}, store)
      const own = webhooks.sender?.endpoints
      if (!(await own?.get('by-hand'))) await own?.add({ id: 'by-hand', url })
      const list = (await own?.list()) ?? []
      await webhooks.close(0)
      return Object.fromEntries(
        list.map(({ id, status, disabledReason }) => [id, disabledReason ?? status]),
      )
    }
    expect(await state({ endpoints: both })).toEqual({
      one: 'active',
      two: 'active',
      'by-hand': 'active',
    })
    expect(await state({ endpoints: { one: { url } } })).toMatchObject({
      two: 'withdrawn',
      'by-hand': 'active',
    })
    expect(await state({ endpoints: both })).toMatchObject({ two: 'active' })
  })

  it('that may not be called are told of, and the rest begins all the same', async () => {
    const { webhooks, problems } = await world({
      endpoints: { bad: { url: 'http://127.0.0.1/' }, good: { url: 'https://8.8.8.8/' } },
    })
    expect(problems.map(({ code, message }) => [code, message])).toEqual([
      ['WEBHOOK_EGRESS_DENIED', 'bad: the endpoint may not be called: https is required'],
    ])
    expect((await webhooks.sender?.endpoints.list())?.map(({ id }) => id)).toEqual(['good'])
  })

  it('of a consumer that no contract has are refused', async () => {
    await expect(world({ sender: { consumers: 'nobody' } })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    })
  })
})
