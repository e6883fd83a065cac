import { afterEach, describe, expect, it } from 'vitest'
import { openBus } from '../../messaging/index.ts'
import { openStore } from '../../store/index.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { paymentContract, request, secret } from './inbound.test.kit.ts'
import { receivedBytes } from './received-bytes.ts'
import { createReceiver } from './receiver.ts'
import type { SourceOptions } from './source.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const verify = { scheme: 'standard-webhooks', secrets: [secret] } as const
const dayMs = 86_400_000

/** Two processes on one store. */
async function pair(source: Partial<SourceOptions>) {
  const clock = fakeClock()
  const store = await openStore('memory:', { clock })
  closing.push(() => store.close())
  const events: string[] = []
  const receiver = () =>
    createReceiver({
      sources: { psp: { verify, ...source } },
      store,
      clock,
      onEvent: ({ outcome }) => events.push(outcome),
    })
  return { clock, store, events, first: receiver(), second: receiver() }
}

describe('a repetition in synchronous mode', () => {
  it('gets the first answer again, status, headers and body, in every process and after days', async () => {
    let runs = 0
    const { first, second, clock, events } = await pair({
      async handle() {
        runs += 1
        return { status: 201, headers: { 'x-run': String(runs) }, body: `run ${runs}` }
      },
    })
    const at = () => request('{}', { at: clock.now() })
    const answered = await first.receive('psp', at())
    expect(answered).toEqual({ status: 201, headers: { 'x-run': '1' }, body: 'run 1' })

    expect(await first.receive('psp', at())).toEqual(answered)
    expect(await second.receive('psp', at())).toEqual(answered)
    await clock.advance(3 * dayMs)
    expect(await second.receive('psp', at())).toEqual(answered)
    expect(runs).toBe(1)
    expect(events).toEqual(['handled', 'duplicate', 'duplicate', 'duplicate'])
  })

  it('gets a refusal that the handler gave again, and is handled anew after a failure', async () => {
    let runs = 0
    const { first } = await pair({
      async handle({ id }) {
        runs += 1
        return { status: id === 'bad' ? 422 : runs === 2 ? 503 : 200, body: `run ${runs}` }
      },
    })
    const bad = request('{}', { id: 'bad' })
    expect(await first.receive('psp', bad)).toMatchObject({ status: 422, body: 'run 1' })
    expect(await first.receive('psp', bad)).toMatchObject({ status: 422, body: 'run 1' })
    const good = request('{}', { id: 'good' })
    expect(await first.receive('psp', good)).toMatchObject({ status: 503, body: 'run 2' })
    expect(await first.receive('psp', good)).toMatchObject({ status: 200, body: 'run 3' })
  })

  it('that comes while another process is at work waits for its answer', async () => {
    const work = Promise.withResolvers<void>()
    let runs = 0
    const { first, second, clock } = await pair({
      async handle() {
        runs += 1
        await work.promise
        return { body: 'the only one' }
      },
    })
    const one = first.receive('psp', request('{}'))
    await clock.advance(5)
    const other = second.receive('psp', request('{}'))
    await clock.advance(3000)
    work.resolve()
    await one
    await clock.advance(1000)

    expect(await other).toMatchObject({ status: 200, body: 'the only one' })
    expect(runs).toBe(1)
  })

  it('does not find an answer that is past the window', async () => {
    let runs = 0
    const { first, store, clock } = await pair({
      dedupe: { keepMs: dayMs },
      async handle() {
        runs += 1
        return { body: `run ${runs}` }
      },
    })
    const at = () => request('{}', { at: clock.now() })
    await first.receive('psp', at())
    const day = Math.floor(clock.now() / dayMs)
    await clock.advance(3 * dayMs)
    expect(await first.receive('psp', at())).toMatchObject({ body: 'run 2' })
    await expect
      .poll(async () => store.records.list(`webhook.answers.psp.${day}`, { limit: 10 }))
      .toEqual([])
  })
})

describe('the bytes that a provider sent', () => {
  async function enveloped(source: Partial<SourceOptions> = {}) {
    const clock = fakeClock()
    const contracts = [paymentContract('treaty')]
    const bus = await openBus({ contracts, transport: 'memory:', clock })
    const store = await openStore('memory:', { clock })
    closing.push(
      () => store.close(),
      () => bus.close({ drainMs: 0 }),
    )
    const sources = { psp: { verify, event: 'payment.made', ...source } }
    return { bus, store, clock, receiver: createReceiver({ sources, bus, store, clock }) }
  }

  it('are found by the message and by the dead letter of a contract with an envelope, to the last space', async () => {
    const { bus, store, receiver } = await enveloped()
    const valid = '{ "amount": 1.00, "big": 12345678901234567890 }'
    const invalid = '{ "amount":  "much" }'
    const headers = { 'treaty-webhook-received': 'psp/other', 'x-own': 'kept' }
    expect((await receiver.receive('psp', request(valid, { id: 'm1' }))).status).toBe(200)
    expect((await receiver.receive('psp', request(invalid, { id: 'm2', headers }))).status).toBe(
      200,
    )

    const [message] = (await bus.messages({ event: 'payment.made' })).items
    const kept = await receivedBytes(store, message?.record.headers ?? {})
    expect(Buffer.from(kept?.rawBody ?? []).toString()).toBe(valid)
    expect(kept).toMatchObject({ source: 'psp', headers: { 'webhook-id': 'm1' } })

    const [summary] = (await bus.dead.list()).items
    const letter = await bus.dead.get(summary?.id ?? '')
    expect(JSON.parse(Buffer.from(letter?.body ?? []).toString())).toHaveProperty('data')
    const sent = await receivedBytes(store, letter?.headers ?? {})
    expect(Buffer.from(sent?.rawBody ?? []).toString()).toBe(invalid)
    expect(sent?.headers).toMatchObject({ 'x-own': 'kept' })
  })

  it('are deleted when the window has passed, and not kept where nobody wants them', async () => {
    const { bus, store, receiver, clock } = await enveloped({ dedupe: { keepMs: dayMs } })
    await receiver.receive('psp', request('{"amount":1}'))
    const headers = (await bus.messages({ event: 'payment.made' })).items[0]?.record.headers ?? {}
    await clock.advance(dayMs + 1000)
    await receiver.receive('psp', request('{"amount":1}', { id: 'm2', at: clock.now() }))
    await expect.poll(() => receivedBytes(store, headers)).toBeUndefined()

    const without = await enveloped({ keepBytes: false })
    await without.receiver.receive('psp', request('{"amount":1}'))
    const [item] = (await without.bus.messages({ event: 'payment.made' })).items
    expect(item?.record.headers).not.toHaveProperty('treaty-webhook-received')
  })
})
