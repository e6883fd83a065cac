import { describe, expect, test } from 'vitest'
import { type ContractInput, contractDigest, defineContract } from '../contracts/index.ts'
import { openStore } from '../store/index.ts'
import { fakeClock } from '../testing/index.ts'
import { openRegistry, type Registry } from './index.ts'

const orderSchema = {
  type: 'object',
  properties: {
    orderId: { type: 'string' },
    total: {
      type: 'object',
      properties: { amount: { type: 'integer' }, currency: { type: 'string' } },
      required: ['amount', 'currency'],
    },
    note: { type: 'string' },
  },
  required: ['orderId', 'total'],
} as const

/** The contract of a shop, with what a test changes. */
function shop(version: string, over: Partial<ContractInput> = {}, schema: object = orderSchema) {
  return defineContract({
    id: 'shop.orders',
    version,
    status: 'active',
    purpose: 'Tells every service that an order was placed.',
    owner: { team: 'orders', contact: 'orders@example.com' },
    pattern: 'pub-sub',
    envelope: 'treaty',
    channels: { orders: { address: 'shop.orders', key: 'orderId' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid, so that billing can start.',
        schema: schema as typeof orderSchema,
        examples: [{ orderId: 'o-1', total: { amount: 1990, currency: 'EUR' } }],
      },
    },
    producers: { 'order-service': { onInvalid: 'reject' } },
    consumers: {
      billing: {
        accepts: '^2.1.0',
        since: '2.1.0',
        events: {
          'order.placed': { needs: ['orderId', 'total.amount'], handling: 'Creates an invoice.' },
        },
        deadLetter: { retention: '30d' },
        idempotency: { key: 'id', window: '30d' },
      },
    },
    ...over,
  } as ContractInput)
}

async function open(clock = fakeClock(Date.parse('2026-11-20T10:00:00Z'))): Promise<Registry> {
  return openRegistry(await openStore('memory:', { clock }), { clock })
}

function withTotal(total: object) {
  return { ...orderSchema, properties: { ...orderSchema.properties, total } }
}

describe('versions', () => {
  test('are registered once, and the same content again gives the same version', async () => {
    const registry = await open()
    const contract = shop('2.1.0')

    const first = await registry.register(contract, 'ada')
    const again = await registry.register(shop('2.1.0'), 'bob')

    expect(first.created).toBe(true)
    expect(again).toEqual({ ...first, created: false })
    expect(first.version).toMatchObject({
      hash: contractDigest(contract),
      by: 'ada',
      registeredAt: '2026-11-20T10:00:00.000Z',
    })
    expect(await registry.audit({ limit: 10 })).toHaveLength(1)
  })

  test('are never replaced by other content', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')

    const refused = registry.register(shop('2.1.0', { purpose: 'Says something else.' }), 'bob')

    await expect(refused).rejects.toMatchObject({
      code: 'CONTRACT_VERSION_EXISTS',
      details: { version: '2.1.0' },
    })
    expect(await registry.contract('shop.orders', '2.1.0')).toMatchObject({
      purpose: 'Tells every service that an order was placed.',
    })
  })

  test('come back as they were given', async () => {
    const registry = await open()
    const contract = shop('2.1.0')
    const { version } = await registry.register(contract, 'ada')

    const { file: _file, ...given } = contract
    expect(await registry.contract('shop.orders', 'latest')).toEqual(given)
    expect(await registry.byHash(version.hash)).toEqual(version)
    expect(await registry.source(version.hash)).toMatchObject({ id: 'shop.orders' })
  })

  test('are ordered by rank, and the latest is the highest release', async () => {
    const registry = await open()
    for (const version of ['2.10.0', '2.2.0', '3.0.0-rc.1', '2.9.1']) {
      await registry.register(shop(version), 'ada')
    }

    const versions = await registry.versions('shop.orders')

    expect(versions.map(({ version }) => version)).toEqual([
      '2.2.0',
      '2.9.1',
      '2.10.0',
      '3.0.0-rc.1',
    ])
    expect((await registry.latest()).map(({ version }) => version)).toEqual(['2.10.0'])
  })

  test('keep their content while the status changes', async () => {
    const registry = await open()
    const { version } = await registry.register(shop('2.1.0'), 'ada')

    await registry.register(shop('2.1.0', { status: 'deprecated' }), 'ada')

    expect(await registry.version('shop.orders', '2.1.0')).toEqual({
      ...version,
      status: 'deprecated',
    })
  })
})

describe('an incompatible successor', () => {
  const broken = withTotal({
    type: 'object',
    properties: { amount: { type: 'string' }, currency: { type: 'string' } },
    required: ['amount', 'currency'],
  })
  const examples = {
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when a checkout has been paid, so that billing can start.',
        schema: broken,
        examples: [{ orderId: 'o-1', total: { amount: '1990', currency: 'EUR' } }],
      },
    },
  } as unknown as Partial<ContractInput>

  test('is refused with a message that proves it', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')

    const refused = registry.register(shop('2.2.0', examples), 'ada')

    await expect(refused).rejects.toMatchObject({
      code: 'CONTRACT_INCOMPATIBLE',
      findings: expect.arrayContaining([
        expect.objectContaining({ event: 'order.placed', witness: expect.anything() }),
      ]),
    })
    expect(await registry.versions('shop.orders')).toHaveLength(1)
  })

  test('is let through as a new major version', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')

    expect(await registry.register(shop('3.0.0', examples), 'ada')).toMatchObject({ created: true })
  })

  test('is held against all earlier versions under a transitive mode', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')
    const higher = shop('2.3.0', examples)
    await registry.register(higher, 'ada').catch(() => {})

    await expect(registry.check(shop('2.0.5', examples))).rejects.toMatchObject({
      code: 'CONTRACT_INCOMPATIBLE',
    })
  })

  test('goes through as a warning where those whom it hurts have waived it', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')
    const waivers = (expires: string) =>
      ['breaking-change', 'consumer-impact'].map((rule) => {
        return { rule, reason: 'agreed', approvedBy: 'billing', expires }
      })
    const gate = (expires: string) =>
      ({ gate: { block: ['breaking-change'], waivers: waivers(expires) } }) as object

    const late = registry.register(shop('2.2.0', { ...examples, ...gate('2026-11-19') }), 'ada')
    await expect(late).rejects.toMatchObject({ code: 'CONTRACT_INCOMPATIBLE' })
    const done = await registry.register(
      shop('2.2.0', { ...examples, ...gate('2026-11-20') }),
      'ada',
    )

    expect(done.findings.map(({ severity }) => severity)).toContain('warning')
    expect(done.findings[0]?.message).toContain('waived by billing')
  })

  test('may lack nothing that was there', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')

    const without = shop('2.2.0', {
      events: {
        'order.closed': {
          channel: 'orders',
          purpose: 'Sent when an order is done, so that the archive can take it.',
          schema: orderSchema,
          examples: [{ orderId: 'o-1', total: { amount: 1, currency: 'EUR' } }],
        },
      },
      consumers: {
        archive: {
          accepts: '^2.1.0',
          events: { 'order.closed': { needs: ['orderId'], handling: 'Keeps it.' } },
        },
      },
    } as unknown as Partial<ContractInput>)

    await expect(registry.register(without, 'ada')).rejects.toMatchObject({
      code: 'CONTRACT_INCOMPATIBLE',
    })
  })
})

describe('consumers', () => {
  const entry = {
    accepts: '^2.1.0',
    events: { 'order.placed': { needs: ['orderId', 'total.currency'], handling: 'Ships it.' } },
  }

  test('register themselves, with a view derived from what they need', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')
    const push = { contract: 'shop.orders', consumer: 'shipping', version: 'abc123', entry }

    const done = await registry.pushConsumer({ ...push, environment: 'prod' }, 'ci')

    expect(done).toMatchObject({ since: '2.1.0', by: 'ci', environment: 'prod' })
    expect(done.views['order.placed']).toMatchObject({
      required: ['orderId', 'total'],
      properties: {
        orderId: { type: 'string' },
        total: { required: ['currency'], properties: { currency: { type: 'string' } } },
      },
    })
    expect(await registry.consumers({ environment: 'prod' })).toEqual([done])
    expect(await registry.messages({ name: 'placed' })).toMatchObject([
      { name: 'order.placed', consumers: ['billing', 'shipping'] },
    ])
  })

  test('are refused with what is wrong in their entry', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')
    const wrong = {
      ...entry,
      events: { 'order.placed': { needs: ['total.taxes'], handling: 'Ships it.' } },
    }

    const refused = registry.pushConsumer(
      { contract: 'shop.orders', consumer: 'shipping', version: '1', entry: wrong },
      'ci',
    )

    await expect(refused).rejects.toMatchObject({
      code: 'CONTRACT_INVALID',
      findings: expect.arrayContaining([expect.objectContaining({ code: 'NEEDS_NOT_IN_SCHEMA' })]),
    })
  })

  test('are hurt by a change as those are that the contract names', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')
    const reads = (need: string) => ({
      ...entry,
      events: { 'order.placed': { needs: [need], handling: 'Prints it.' } },
    })
    const which = { contract: 'shop.orders', consumer: 'printer' }
    await registry.pushConsumer({ ...which, version: '1', entry: reads('orderId') }, 'ci')
    await registry.pushConsumer({ ...which, version: '2', entry: reads('note') }, 'ci')
    const changed = {
      ...orderSchema,
      properties: { ...orderSchema.properties, note: { type: 'integer' } },
    }
    const next = shop('2.2.0', { evolution: { policy: 'evolvable', mode: 'none' } }, changed)

    const refused = await registry.register(next, 'ada').catch((error) => error)

    expect(refused.code).toBe('CONTRACT_INCOMPATIBLE')
    expect(refused.findings.map((finding: { consumer?: string }) => finding.consumer)).toContain(
      'printer',
    )
    await registry.withdrawConsumer({ ...which, version: '2' }, 'ci')
    const calm = await registry.register(next, 'ada').catch((error) => error)
    expect(JSON.stringify(calm.findings)).not.toContain('printer')
  })

  test('are withdrawn once', async () => {
    const registry = await open()
    await registry.register(shop('2.1.0'), 'ada')
    const which = { contract: 'shop.orders', consumer: 'shipping', version: '1' }
    await registry.pushConsumer({ ...which, entry }, 'ci')

    expect(await registry.withdrawConsumer(which, 'ci')).toBe(true)
    expect(await registry.withdrawConsumer(which, 'ci')).toBe(false)
  })
})

describe('deployments', () => {
  const run = { service: 'billing', version: '4.1.0', environment: 'prod' }

  test('stand beside each other until they end', async () => {
    const registry = await open()
    await registry.deploy({ ...run, contracts: { 'shop.orders': '2.1.0' } }, 'ci')
    await registry.deploy({ ...run, version: '4.2.0' }, 'ci')
    await registry.deploy({ ...run, version: '4.2.0' }, 'ci')
    await registry.undeploy(run, 'ci')

    expect(await registry.deployments({ environment: 'prod' })).toMatchObject([
      { version: '4.2.0', contracts: {} },
    ])
    expect(await registry.environments()).toMatchObject([{ name: 'prod', production: true }])
    await expect(registry.undeploy(run, 'ci')).rejects.toMatchObject({
      code: 'DEPLOYMENT_NOT_FOUND',
    })
    expect((await registry.audit({ limit: 10 })).map(({ change }) => change.kind)).toEqual([
      'environment-set',
      'deployed',
      'deployed',
      'undeployed',
    ])
  })
})

describe('reviews', () => {
  test('are bound to the content that was read', async () => {
    const registry = await open()
    const { version } = await registry.register(shop('2.1.0'), 'ada')
    const review = { contract: 'shop.orders', version: '2.1.0', consumer: 'billing' }

    const stale = registry.review({ ...review, digest: 'sha256:0' }, 'bob')
    await expect(stale).rejects.toMatchObject({ code: 'REVIEW_STALE' })
    const done = await registry.review({ ...review, digest: version.hash }, 'bob')

    expect(done.reviews).toEqual([
      { consumer: 'billing', by: 'bob', at: '2026-11-20T10:00:00.000Z', digest: version.hash },
    ])
  })
})

describe('a pushed document', () => {
  test.each([
    ['a schema', { events: { e: { channel: 'c', purpose: 'p', schema: '../../etc/passwd' } } }],
    ['examples', { events: { e: { channel: 'c', purpose: 'p', schema: {}, examples: './*' } } }],
    [
      'a reference',
      { events: { e: { channel: 'c', purpose: 'p', schema: { $ref: '/etc/hosts' } } } },
    ],
  ])('names no file of the server as %s', async (_, source) => {
    const registry = await open()

    await expect(registry.registerSource(source, 'x')).rejects.toMatchObject({
      code: 'CONTRACT_INVALID',
    })
  })
})

describe('another registry on the same store', () => {
  test('sees at once what was written here', async () => {
    const store = await openStore('memory:')
    const [one, two] = [openRegistry(store), openRegistry(store)]
    expect(await two.versions('shop.orders')).toEqual([])

    await one.register(shop('2.1.0'), 'ada')

    expect(await two.versions('shop.orders')).toHaveLength(1)
  })

  test('and this one never both win', async () => {
    const store = await openStore('memory:')
    const registries = Array.from({ length: 5 }, () => openRegistry(store))

    const results = await Promise.allSettled(
      registries.map((registry, at) =>
        registry.register(shop('2.1.0', { purpose: `Tells it in the way of number ${at}.` }), 'x'),
      ),
    )

    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await registries[0]?.audit({ limit: 10 })).toHaveLength(1)
  })
})
