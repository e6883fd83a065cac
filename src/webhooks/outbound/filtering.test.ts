import { describe, expect, it } from 'vitest'
import { fakeClock } from '../../testing/fake-clock.ts'
import { hostsOf, worldOn } from './outbound.test.kit.ts'
import type { SenderOptions } from './sender-options.ts'

const world = (more: Partial<SenderOptions> = {}) => worldOn(fakeClock(), more)
const slow = 'data.text.matches("^(a+)+$")'

describe('an endpoint with a filter', () => {
  it('gets the messages for which it is true, by data, source, key and metadata', async () => {
    const { sender, clock, requests } = await world()
    await sender.endpoints.add({ url: 'https://big.example/', filter: 'data.total > 100' })
    await sender.endpoints.add({ url: 'https://shop.example/', filter: 'source == "shop"' })
    await sender.endpoints.add({
      url: 'https://eu.example/',
      filter: 'key == "eu" && metadata.tenant == "t-1" && event == "order.placed"',
    })
    const type = 'order.placed'

    expect((await sender.send({ type, data: { total: 500 } })).endpoints).toBe(1)
    expect((await sender.send({ type, data: { total: 5 }, source: 'shop' })).endpoints).toBe(1)
    const context = { key: 'eu', metadata: { tenant: 't-1' } }
    expect((await sender.send({ type, data: { total: 5 }, ...context })).endpoints).toBe(1)
    const body = Buffer.from('{"total":101}')
    expect((await sender.send({ type, body })).endpoints).toBe(1)
    await clock.advance(10)

    expect(hostsOf(requests)).toEqual(['big.example', 'shop.example', 'eu.example', 'big.example'])
    expect(sender.stats()).toMatchObject({ filtered: 8, filterFailures: 0 })
    await sender.close()
  })

  it('whose filter fails on a message does not get it, the log says why, and the others do', async () => {
    const { sender, clock, requests, events } = await world()
    await sender.endpoints.add({ id: 'odd', url: 'https://odd.example/', filter: 'data.a.b > 1' })
    await sender.endpoints.add({ id: 'well', url: 'https://well.example/', filter: 'data.a > 1' })

    const sent = await sender.send({ type: 'x', data: { a: 2 } })
    await clock.advance(10)

    expect(sent.endpoints).toBe(1)
    expect(hostsOf(requests)).toEqual(['well.example'])
    const { items } = await sender.attempts({ endpointId: 'odd' })
    expect(items).toMatchObject([
      { messageId: sent.id, type: 'x', attempt: 0, outcome: 'filter_failed' },
    ])
    expect(items[0]?.error).toContain('the filter failed')
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'filter.failed', endpointId: 'odd', messageId: sent.id }),
    )
    expect(sender.stats().filterFailures).toBe(1)
    await sender.close()
  })

  it('gets what it missed by recover once its filter is mended, and nothing that it does not want', async () => {
    const { sender, clock, requests } = await world()
    await sender.endpoints.add({ id: 'a', url: 'https://a.example/', filter: 'data.x.y > 1' })
    const since = new Date(clock.now())
    for (const x of [1, 2, 3]) await sender.send({ type: 'x', data: { x } })
    await sender.send({ type: 'x', body: Buffer.from('{"x":7}') })
    await clock.advance(10)
    expect(requests).toEqual([])

    await sender.endpoints.update('a', { filter: 'data.?x.orValue(0) > 2' })
    // What was given as bytes is its own data.
    expect(await sender.recover('a', { since })).toBe(2)
    await clock.advance(10)
    expect(requests).toHaveLength(2)

    const cleared = await sender.endpoints.update('a', { filter: '' })
    expect(cleared).not.toHaveProperty('filter')
    expect(await sender.recover('a', { since })).toBe(2)
    await sender.close()
  })

  it('whose filter takes too long, three times in a row, is disabled', async () => {
    const { sender, clock, events } = await world()
    await sender.endpoints.add({ id: 'a', url: 'https://a.example/', filter: slow })
    for (let at = 0; at < 3; at += 1) {
      await sender.send({ type: 'x', data: { text: `${'a'.repeat(60)}!` } })
    }
    await clock.advance(10)

    expect(await sender.endpoints.get('a')).toMatchObject({
      status: 'disabled',
      disabledReason: 'slow filter',
    })
    expect(events.at(-1)).toMatchObject({ kind: 'endpoint.disabled', reason: 'slow filter' })
    await sender.close()
  })

  it('asked for by name gets the message all the same', async () => {
    const { sender, clock, requests } = await world()
    await sender.endpoints.add({ id: 'a', url: 'https://a.example/', filter: 'false' })
    expect((await sender.send({ type: 'x', data: 1, endpoints: ['a'] })).endpoints).toBe(1)
    await clock.advance(10)
    expect(requests).toHaveLength(1)
    await sender.close()
  })
})

describe('an endpoint that is put', () => {
  it('is added once, then made what the options say, and changes its secret with an overlap', async () => {
    const { sender, clock, requests } = await world()
    const one = { id: 'one', url: 'https://a.example/', managedBy: 'configuration' }
    const secret = `whsec_${Buffer.alloc(32, 1).toString('base64')}`

    const added = await sender.endpoints.put({ ...one, secret, description: 'first' })
    expect(added).toMatchObject({ status: 'active', secretsInUse: 1, description: 'first' })
    expect(added).not.toHaveProperty('secret')
    const again = await sender.endpoints.put({ ...one, secret, events: ['x'], filter: 'true' })
    expect(again).toMatchObject({ events: ['x'], filter: 'true', secretsInUse: 1 })
    expect(again).not.toHaveProperty('description')
    expect(again.createdAt).toBe(added.createdAt)

    const other = `whsec_${Buffer.alloc(32, 2).toString('base64')}`
    expect(await sender.endpoints.put({ ...one, secret: other })).toMatchObject({ secretsInUse: 2 })
    expect(await sender.endpoints.put({ ...one, secret: other })).toMatchObject({ secretsInUse: 2 })
    await sender.endpoints.disable('one', 'by hand')
    expect(await sender.endpoints.put({ ...one })).toMatchObject({ disabledReason: 'by hand' })
    await sender.endpoints.enable('one')
    await sender.send({ type: 'x', data: 1 })
    await clock.advance(10)
    expect(requests[0]?.headers['webhook-signature']?.split(' ')).toHaveLength(2)
    await sender.close()
  })

  it('has its own schedule and time, where it names them', async () => {
    const { sender, clock, requests, answers, events } = await world({
      schedule: [1000, 1000, 1000],
    })
    answers.set('a.example', 500)
    await sender.endpoints.put({
      id: 'a',
      url: 'https://a.example/',
      schedule: [100],
      timeoutMs: 77,
    })
    await sender.send({ type: 'x', data: 1 })
    for (let at = 0; at < 20; at += 1) await clock.advance(50)

    expect(requests.map(({ timeoutMs }) => timeoutMs)).toEqual([77, 77])
    expect(events.at(-1)).toMatchObject({ kind: 'exhausted', attempts: 2 })
    await sender.close()
  })

  it('carries the trace of the message on', async () => {
    const { sender, clock, requests } = await world()
    await sender.endpoints.add({ url: 'https://a.example/' })
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await sender.send({ type: 'x', data: 1, metadata: { traceparent } })
    await sender.send({ type: 'x', data: 1, metadata: { traceparent: 'x\r\ny: z' } })
    await clock.advance(10)
    expect(requests.map(({ headers }) => headers.traceparent)).toEqual([traceparent, undefined])
    await sender.close()
  })
})
