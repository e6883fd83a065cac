import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createTestBus } from '../../src/testing/index.ts'
import { bank } from './bank.ts'

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

/** What a broken or hostile neighbour sends in place of a message. */
const garbage = (valid: Uint8Array) =>
  fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.json().map((json) => Buffer.from(json)),
    // The valid message cut off, or with bytes changed.
    fc.nat(valid.length).map((length) => valid.slice(0, length)),
    fc
      .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 })
      .map((changes) => {
        const copy = Uint8Array.from(valid)
        for (const [at, byte] of changes) copy[at] = byte
        return copy
      }),
    fc.constantFrom(
      Buffer.alloc(0),
      Buffer.from('null'),
      Buffer.from('[]'),
      Buffer.from('"text"'),
      Buffer.from('{}'),
      Buffer.from('\uFEFF{}'),
      Buffer.from('['.repeat(20_000)),
      Buffer.from(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`),
      Buffer.from('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
      Buffer.from(text(valid).replace('"amount"', '"__proto__"')),
      Buffer.from(text(valid).replace(/"timestamp":"[^"]*"/, '"timestamp":"0000-99-99"')),
      Buffer.from(text(valid).replace(/"data":\{/, '"data":{"extra":1e999,')),
    ),
  )

describe('garbage on a channel', () => {
  it('never stops a consumer: each message is handled or dead, and the good ones are all handled', async () => {
    const bus = await createTestBus(bank)
    const good = () => bus.fake('transfer.requested', { from: 'account-1' })
    await bus.publish('transfer.requested', good())
    const [sample] = bus.records('transfer.requested')
    if (!sample) throw new Error('the sample was published')
    const handled: unknown[] = []
    await bus.consume('ledger', {
      'transfer.requested': (message) => void handled.push(message.data),
    })
    let sent = 1
    let goodSent = 1

    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(garbage(sample.body), fc.constant(undefined)), {
          minLength: 1,
          maxLength: 20,
        }),
        async (bodies) => {
          for (const body of bodies) {
            sent += 1
            if (body === undefined) {
              goodSent += 1
              await bus.publish('transfer.requested', good())
            } else {
              const id = `garbage-${sent}`
              const [result] = await bus.transport.publish([{ ...sample, id, body }])
              expect(result).toHaveProperty('id', id)
            }
          }
          await bus.settled()
          const stats = await bus.stats()
          expect(stats.waiting).toBe(0)
          expect(stats.deliveries).toBe(sent)
          expect(stats.handled + stats.dead + stats.skipped).toBe(sent)
          expect(stats.handled).toBeGreaterThanOrEqual(goodSent)
        },
      ),
      { numRuns: 60 },
    )

    expect(handled.length).toBeGreaterThanOrEqual(goodSent)
    expect({}).not.toHaveProperty('polluted')
    const letters = await bus.deadLetters('ledger')
    expect(letters.length).toBeGreaterThan(50)
    expect(letters.every((letter) => letter.reason.length > 0 && letter.attempts === 1)).toBe(true)
    await bus.close({ drainMs: 0 })
  })

  it('gives bytes without an id, or with one that is no text, a dead letter with an id', async () => {
    const bus = await createTestBus(bank)
    for (const text of ['{}', '{"id":7,"type":"transfer.requested"}', '{"id":null}', '{"id":""}']) {
      const taken = await bus.ingest('transfer.requested', Buffer.from(text), {
        source: 'outsider',
      })

      expect(taken.id).toMatch(/^[0-9a-f-]{36}$/)
      expect(await bus.dead.get(taken.deadLetter ?? '')).toMatchObject({ messageId: taken.id })
    }
    await bus.close({ drainMs: 0 })
  })

  it('never makes ingest throw: what is not a message becomes a dead letter with its bytes', async () => {
    const bus = await createTestBus(bank)
    await bus.publish('transfer.requested', bus.fake('transfer.requested'))
    const [sample] = bus.records('transfer.requested')
    if (!sample) throw new Error('the sample was published')

    await fc.assert(
      fc.asyncProperty(garbage(sample.body), async (body) => {
        const taken = await bus.ingest('transfer.requested', body, { source: 'outsider' })
        if (taken.deadLetter === undefined) return
        const letter = await bus.dead.get(taken.deadLetter)
        expect(Buffer.from(letter?.body ?? []).equals(Buffer.from(body))).toBe(true)
        expect(letter?.consumer).toBeNull()
        expect(taken.findings?.length).toBeGreaterThan(0)
      }),
      { numRuns: 300 },
    )
    await bus.close({ drainMs: 0 })
  })
})
