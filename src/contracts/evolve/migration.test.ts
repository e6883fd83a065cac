import { describe, expect, it } from 'vitest'
import { defineContract } from '../define.ts'
import type { Contract } from '../model.ts'
import { migrationReport } from './migration.ts'

const now = new Date('2026-11-21T12:00:00Z')
const text = { type: 'string' }

function contract(parts: {
  version?: string
  schema?: object
  consumers?: object
  deprecated?: object
  upcast?: object[]
}): Contract {
  return defineContract({
    id: 'shop.orders',
    version: parts.version ?? '1.1.0',
    purpose: 'Tells that an order was placed.',
    owner: { team: 'orders' },
    channels: { orders: { address: 'shop.orders' } },
    events: {
      'order.placed': {
        channel: 'orders',
        purpose: 'Sent when paid.',
        schema: parts.schema ?? {
          type: 'object',
          properties: { name: { ...text, deprecated: true }, first: text, last: text },
        },
        ...(parts.deprecated === undefined ? {} : { deprecated: parts.deprecated }),
      },
    },
    producers: { shop: {} },
    consumers: parts.consumers ?? { billing: reading(['name']) },
    evolution: { upcast: parts.upcast ?? [] },
  } as never)
}
const reading = (needs: readonly string[] | object, more: object = {}) => ({
  accepts: '>=1 <3',
  since: '1.0.0',
  events: { 'order.placed': { needs, handling: 'Creates one invoice.' } },
  ...more,
})
const retirement = (parts: Parameters<typeof contract>[0]) =>
  migrationReport(contract(parts), { now }).retirements[0]

describe('a deprecated field', () => {
  it('stays as long as a consumer needs it, also when it is optional', () => {
    expect(retirement({})).toMatchObject({ field: 'name', neededBy: ['billing'], canGo: false })
  })

  it('can go once nobody needs it', () => {
    expect(retirement({ consumers: { billing: reading(['first']) } })).toMatchObject({
      neededBy: [],
      canGo: true,
    })
  })

  it('is held back by a consumer whose schema asks for it, and by none that is pending', () => {
    const needs = { type: 'object', required: ['name'], properties: { name: text } }
    const schema = {
      type: 'object',
      required: ['name'],
      properties: { name: { ...text, deprecated: true } },
    }

    expect(retirement({ schema, consumers: { billing: reading(needs) } })?.neededBy).toEqual([
      'billing',
    ])
    expect(
      retirement({ schema, consumers: { billing: reading(needs, { pending: true }) } })?.canGo,
    ).toBe(true)
  })

  it('is found behind references', () => {
    const schema = {
      type: 'object',
      properties: { customer: { $ref: '#/$defs/person' } },
      $defs: { person: { type: 'object', properties: { name: { ...text, deprecated: true } } } },
    }

    expect(
      retirement({ schema, consumers: { billing: reading(['customer.name']) } }),
    ).toMatchObject({
      field: 'customer.name',
      neededBy: ['billing'],
    })
  })
})

describe('a deprecated event', () => {
  it('lists the consumers that are still on it, and says when its day has passed', () => {
    const deprecated = { since: '1.1.0', sunset: '2026-11-21' }
    const schema = { type: 'object', properties: { id: text } }

    expect(retirement({ schema, deprecated, consumers: { billing: reading(['id']) } })).toEqual({
      event: 'order.placed',
      since: '1.1.0',
      sunset: '2026-11-21',
      neededBy: ['billing'],
      unknownTo: [],
      canGo: false,
      isOverdue: true,
    })
  })
})

describe('the steps', () => {
  const old = contract({
    version: '1.0.0',
    schema: { type: 'object', required: ['name'], properties: { name: text } },
  })
  const open = (parts: Parameters<typeof contract>[0]) =>
    migrationReport(contract(parts), { now, from: old }).steps.flatMap(({ step, done }) =>
      done ? [] : [step],
    )
  const both = {
    type: 'object',
    required: ['name'],
    properties: { name: { ...text, deprecated: true }, first: text },
  }
  const dropped = { type: 'object', required: ['first'], properties: { first: text } }
  const upcast = [{ event: 'order.placed', from: '1.x', to: '2.x', jsonata: '{"first": name}' }]

  it('are register, widen, dual-write, switch, drop', () => {
    const { steps } = migrationReport(contract({ schema: both }), { now, from: old })

    expect(steps.map(({ step }) => step)).toEqual([
      'register',
      'widen',
      'dual-write',
      'switch',
      'drop',
    ])
  })

  it('wait for the readers after the additive version', () => {
    expect(open({ schema: both })).toEqual(['switch', 'drop'])
    expect(open({ schema: both, consumers: { billing: reading(['first']) } })).toEqual(['drop'])
  })

  it('are done after the drop, where consumers accept it and an upcast leads from the old', () => {
    const consumers = { billing: reading(['first'], { since: '2.0.0' }) }

    expect(open({ version: '2.0.0', schema: dropped, consumers, upcast })).toEqual([])
    expect(open({ version: '2.0.0', schema: dropped, consumers })).toEqual(['dual-write'])
  })

  it('begin with what breaks', () => {
    expect(
      open({ schema: dropped, consumers: { billing: reading(['first'], { since: '1.1.0' }) } }),
    ).toContain('register')
  })
})
