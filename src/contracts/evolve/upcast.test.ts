import { describe, expect, it } from 'vitest'
import { defineContract } from '../define.ts'
import type { Upcast } from '../model.ts'
import { createDualWriter } from './downcast.ts'
import { createUpcaster, jsonataProblem } from './upcast.ts'

const event = 'order.placed'
const step = (from: string, to: string, jsonata: string): Upcast => ({ event, from, to, jsonata })

function contract(version: string, upcast: readonly Upcast[], properties: object = {}) {
  return defineContract({
    id: 'shop.orders',
    version,
    purpose: 'Tells that an order was placed.',
    owner: { team: 'orders' },
    channels: { orders: { address: 'shop.orders' } },
    events: {
      [event]: {
        channel: 'orders',
        purpose: 'Sent when paid.',
        schema: { type: 'object', properties } as never,
      },
    },
    producers: { shop: {} },
    consumers: { billing: { accepts: '*', events: { [event]: { handling: 'Bills.' } } } },
    evolution: { upcast: [...upcast] },
  })
}

const chain = [
  step('2.x', '3.x', '$merge([$, {"third": true}])'),
  step('1.x', '2.x', '$merge([$, {"second": true}])'),
]

describe('the way between versions', () => {
  it('goes step by step, whatever their order in the file', async () => {
    const upcaster = createUpcaster(contract('3.1.0', chain))

    expect(upcaster.path(event, '1.4.0')?.map(({ to }) => to)).toEqual(['2.x', '3.x'])
    expect(await upcaster.convert(event, { id: 1 }, { from: '1.4.0' })).toEqual({
      id: 1,
      second: true,
      third: true,
    })
  })

  it('takes the fewest steps', () => {
    const direct = step('1.x', '3.x', '$')

    expect(createUpcaster(contract('3.0.0', [...chain, direct])).path(event, '1.0.0')).toEqual([
      direct,
    ])
  })

  it('is empty within one major version, and reads versions as messages write them', () => {
    const upcaster = createUpcaster(contract('3.1.0', chain))

    expect(upcaster.path(event, '3.0.0')).toEqual([])
    expect(upcaster.path(event, 'v2')).toHaveLength(1)
    expect(upcaster.path(event, '1.0')).toHaveLength(2)
  })

  it('is missing where no step begins, ends or speaks of the event', async () => {
    const upcaster = createUpcaster(contract('3.1.0', chain))

    expect(upcaster.path(event, '0.9.0')).toBeUndefined()
    expect(upcaster.path('order.closed', '1.0.0')).toBeUndefined()
    await expect(upcaster.convert(event, {}, { from: '0.9.0' })).rejects.toMatchObject({
      code: 'UPCAST_MISSING',
    })
  })

  it('ends where steps go in a circle', () => {
    const circle = [step('1.x', '2.x', '$'), step('2.x', '1.x', '$')]

    expect(createUpcaster(contract('5.0.0', circle)).path(event, '1.0.0')).toBeUndefined()
  })
})

describe('a step', () => {
  const run = (jsonata: string, data: object = { items: [1, 2] }) =>
    createUpcaster(contract('2.0.0', [step('1.x', '2.x', jsonata)])).convert(event, data as never, {
      from: '1.0.0',
    })

  it('gives plain data, without marks of JSONata', async () => {
    const made = (await run('{"items": items[$ > 0], "n": $count(items)}')) as { items: object }

    expect(made).toStrictEqual({ items: [1, 2], n: 2 })
    expect(Object.getOwnPropertyNames(made.items)).toEqual(['0', '1', 'length'])
  })

  it('leaves its input as it is', async () => {
    const data = { total: 1 }
    await run('$ ~> |$|{"total": 2}|', data)

    expect(data).toEqual({ total: 1 })
  })

  it.each([
    ['fails', '$error("no")', 'failed: no'],
    ['gives nothing', 'missing', 'gave nothing'],
    ['does not end', '($f := function($n) { $f($n + 1) }; $f(0))', 'failed'],
  ])('that %s is a failure with its versions', async (_how, jsonata, text) => {
    await expect(run(jsonata)).rejects.toMatchObject({
      code: 'UPCAST_FAILED',
      message: expect.stringContaining(text),
      details: { event, from: '1.x', to: '2.x' },
    })
  })

  it('that is no JSONata is told with the position', async () => {
    expect(await jsonataProblem('$merge([$')).toMatchObject({ position: expect.any(Number) })
    expect(await jsonataProblem('$merge([$, {}])')).toBeUndefined()
  })
})

describe('dual writing', () => {
  const text = { type: 'string' }
  const earlier = contract('1.0.0', [], { name: text })
  const down = step('2.x', '1.x', '{"name": first & " " & last}')
  const additive = contract('1.1.0', [down], { name: text, first: text, last: text })

  it('writes the fields of both formats into one message', async () => {
    const writer = createDualWriter(additive, earlier)

    expect(await writer.write(event, { first: 'Ada', last: 'L' })).toEqual({
      name: 'Ada L',
      first: 'Ada',
      last: 'L',
    })
  })

  it('refuses what the published contract does not allow yet', async () => {
    const tooEarly = contract('1.1.0', [down], { first: text, last: text })

    await expect(
      createDualWriter(tooEarly, earlier).write(event, { first: 'Ada', last: 'L' }),
    ).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH', findings: [{ pointer: '/name' }] })
  })

  it('refuses what readers of the earlier version cannot read', async () => {
    const wrong = contract('1.1.0', [step('2.x', '1.x', '{"name": 7}')], {
      name: {},
      first: text,
    })

    await expect(
      createDualWriter(wrong, earlier).write(event, { first: 'Ada' }),
    ).rejects.toMatchObject({ code: 'SCHEMA_MISMATCH', findings: [{ pointer: '/name' }] })
  })
})
