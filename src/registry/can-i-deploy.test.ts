import { describe, expect, it } from 'vitest'
import { type Contract, defineContract } from '../contracts/index.ts'
import type { CanIDeployRequest, LiveService } from './can-i-deploy.ts'
import { canIDeploy } from './can-i-deploy.ts'

interface Parts {
  readonly properties?: object
  readonly required?: readonly string[]
  readonly needs?: readonly string[]
  readonly accepts?: string
  readonly pending?: boolean
  readonly upcast?: readonly object[]
  readonly capture?: object
}

function contract(version: string, parts: Parts = {}): Contract {
  const { properties = {}, required = ['id'], needs = ['id'], accepts = '>=1 <3' } = parts
  return defineContract({
    id: 'shop.orders',
    version,
    purpose: 'Tells that an order was placed.',
    owner: { team: 'orders' },
    channels: { orders: { address: 'shop.orders' }, asks: { address: 'shop.asks' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when paid.',
        schema: {
          type: 'object',
          required,
          properties: { id: { type: 'string' }, note: { type: 'string' }, ...properties },
        } as never,
      },
    },
    commands: {
      'payment.capture': {
        channel: 'asks',
        handler: 'payments',
        schema: (parts.capture ?? { type: 'object' }) as never,
      },
    },
    producers: { shop: {} },
    consumers: {
      billing: {
        accepts,
        events: { 'order.placed': { needs, handling: 'Creates one invoice.' } },
        ...(parts.pending === true ? { pending: true } : {}),
      },
    },
    evolution: { upcast: (parts.upcast ?? []) as never },
  })
}

const live = (service: string, version: string, of: string, environment = 'prod'): LiveService => ({
  service,
  version,
  environment,
  contracts: { 'shop.orders': of },
})

const payments = live('payments', '1', '1.0.0')
const ask = (more: Partial<CanIDeployRequest>) =>
  canIDeploy({
    service: 'shop',
    version: '7',
    environment: { name: 'prod' },
    contracts: [contract('1.0.0')],
    deployments: [],
    ...more,
  })
const asShop = (
  versions: Contract[],
  deployments: LiveService[],
  more: Partial<CanIDeployRequest> = {},
) =>
  ask({
    contracts: versions,
    deployments,
    built: { 'shop.orders': versions.at(-1)?.version ?? '' },
    ...more,
  })

describe('a producer', () => {
  it('may go where every live reader reads what it writes', async () => {
    const versions = [
      contract('1.0.0'),
      contract('1.1.0', { properties: { channel: { type: 'string' } } }),
    ]
    const answer = await asShop(versions, [live('billing', '4', '1.0.0'), payments])

    expect(answer).toMatchObject({ ok: true, verdict: 'yes', findings: [] })
  })

  it('must not go where one of several live versions cannot read it, and says with which message', async () => {
    const versions = [
      contract('1.0.0'),
      contract('1.1.0', { properties: { id: {} } }),
      contract('1.2.0', { properties: { id: { type: ['string', 'integer'] } } }),
    ]
    const answer = await asShop(versions, [
      live('billing', '4', '1.0.0'),
      live('billing', '5', '1.1.0'),
      payments,
    ])

    expect(answer).toMatchObject({ ok: false, verdict: 'no' })
    expect(answer.findings).toMatchObject([
      {
        code: 'DEPLOYMENT_BREAKS',
        severity: 'error',
        consumer: 'billing',
        message: expect.stringMatching(/^billing 4 cannot read `order.placed` of shop 7/),
        witness: { id: expect.any(Number) },
      },
    ])
  })

  it('must not go where the runtime would refuse its messages, though nobody needs what changed', async () => {
    const versions = [
      contract('1.0.0'),
      contract('1.1.0', { properties: { note: { type: 'integer' } } }),
    ]
    const answer = await asShop(versions, [live('billing', '4', '1.0.0'), payments])

    expect(answer.findings[0]?.message).toContain('its validation refuses it')
  })

  it('is not held up by pending consumers', async () => {
    const pending = { pending: true, needs: ['note'] }
    const versions = [
      contract('1.0.0', pending),
      contract('1.1.0', { ...pending, properties: { note: { type: 'integer' } } }),
    ]
    const answer = await asShop(versions, [live('billing', '4', '1.0.0'), payments])

    expect(answer.ok).toBe(true)
    expect(answer.findings).toMatchObject([{ severity: 'info', consumer: 'billing' }])
  })

  it('hurts only what runs in the same environment', async () => {
    const versions = [
      contract('1.0.0'),
      contract('1.1.0', { properties: { id: { type: 'integer' } } }),
    ]
    const answer = await asShop(versions, [
      live('billing', '4', '1.0.0', 'test'),
      live('billing', '5', '1.1.0'),
      live('payments', '2', '1.1.0'),
    ])

    expect(answer.ok).toBe(true)
  })

  it('must not go to readers that do not accept its major version', async () => {
    const versions = [contract('1.0.0', { accepts: '^1.0.0' }), contract('2.0.0')]
    const answer = await asShop(versions, [live('billing', '4', '1.0.0'), payments])

    expect(answer.findings[0]?.message).toContain('leaves out 2.0.0')
  })
})

describe('what is not known', () => {
  it('blocks in production and warns elsewhere', async () => {
    const to = async (name: string, production?: boolean) => {
      const environment = production === undefined ? { name } : { name, production }
      const { ok, verdict } = await asShop([contract('1.0.0')], [], { environment })
      return `${verdict} ${ok}`
    }

    expect(await to('prod')).toBe('unknown false')
    expect(await to('test')).toBe('unknown true')
    expect(await to('test', true)).toBe('unknown false')
    expect(await to('prod-like', false)).toBe('unknown true')
  })

  it('is a service without a record, and a contract version that nobody registered', async () => {
    const reasons = async (more: Partial<CanIDeployRequest>) =>
      (await ask(more)).findings.map(({ message }) => message)

    expect(await reasons({})).toEqual([expect.stringContaining('nothing is recorded of shop 7')])
    expect(await reasons({ built: { 'shop.orders': '9.0.0' } })).toEqual([
      expect.stringContaining('shop.orders 9.0.0 is not known'),
    ])
  })

  it('is found in the records of the same version elsewhere', async () => {
    const deployments = [
      live('shop', '7', '1.0.0', 'test'),
      live('billing', '4', '1.0.0'),
      payments,
    ]

    expect(await ask({ deployments })).toMatchObject({ ok: true, verdict: 'yes' })
  })
})

describe('a consumer', () => {
  const asBilling = (versions: Contract[], deployments: LiveService[], of: string) =>
    ask({
      service: 'billing',
      version: '5',
      contracts: versions,
      deployments,
      built: { 'shop.orders': of },
    })

  it('may go where the live producers send what it needs', async () => {
    expect(
      await asBilling([contract('1.0.0')], [live('shop', '7', '1.0.0')], '1.0.0'),
    ).toMatchObject({
      ok: true,
      verdict: 'yes',
    })
  })

  it('must not go before the producer that sends what it needs', async () => {
    const versions = [
      contract('1.0.0'),
      contract('1.1.0', {
        required: ['id', 'total'],
        properties: { total: { type: 'integer' } },
        needs: ['total'],
      }),
    ]
    const answer = await asBilling(versions, [live('shop', '7', '1.0.0')], '1.1.0')

    expect(answer).toMatchObject({ ok: false, verdict: 'no' })
    expect(answer.findings[0]?.message).toMatch(/^billing 5 cannot read `order.placed` of shop 7/)
  })

  it('may go first where it upcasts what the producer still sends', async () => {
    const total = { required: ['id', 'total'], properties: { total: { type: 'integer' } } }
    const step = (jsonata: string) => ({ event: 'order.placed', from: '1.x', to: '2.x', jsonata })
    const answer = (jsonata: string) =>
      asBilling(
        [contract('1.0.0'), contract('2.0.0', { ...total, upcast: [step(jsonata)] })],
        [live('shop', '7', '1.0.0')],
        '2.0.0',
      )

    expect((await answer('$merge([$, {"total": 0}])')).ok).toBe(true)
    expect((await answer('$')).verdict).toBe('no')
  })
})

describe('a command', () => {
  it('must be handled by what runs, as its callers send it', async () => {
    const strict = { capture: { type: 'object', required: ['amount'] } }
    const versions = [contract('1.0.0'), contract('1.1.0', strict)]
    const asPayments = await ask({
      service: 'payments',
      version: '2',
      contracts: versions,
      deployments: [live('shop', '7', '1.0.0')],
      built: { 'shop.orders': '1.1.0' },
    })

    expect(asPayments.checks).toContainEqual(
      expect.objectContaining({
        message: 'payment.capture',
        direction: 'counterpart writes',
        verdict: 'breaking',
        witness: {},
      }),
    )
  })
})
