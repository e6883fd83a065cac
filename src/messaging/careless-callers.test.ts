import { afterEach, describe, expect, it } from 'vitest'
import { defineContract } from '../contracts/index.ts'
import { isTreatyError } from '../core/errors.ts'
import { fakeClock } from '../testing/fake-clock.ts'
import { openBus } from './index.ts'
import type { Bus, PublishOptions } from './types.ts'

const contract = defineContract({
  id: 'shop.notes',
  version: '1.0.0',
  status: 'active',
  purpose: 'Tells who listens what was noted.',
  owner: { team: 'shop', contact: 'shop@example.com' },
  pattern: 'pub-sub',
  channels: { notes: { address: 'shop.notes' } },
  events: {
    'note.taken': {
      channel: 'notes',
      purpose: 'Sent when somebody has noted something.',
      schema: { type: 'object', properties: { note: {} }, required: ['note'] },
    },
  },
  producers: { desk: {} },
  consumers: { archive: { accepts: '^1.0.0', events: { 'note.taken': { needs: ['note'] } } } },
})
const open: Bus[] = []

async function desk() {
  const options = { contracts: [contract], transport: 'memory:', clock: fakeClock() }
  const bus = await openBus(options)
  open.push(bus)
  return bus
}
const refused = async (published: Promise<unknown>) => {
  const error = await published.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return isTreatyError(error) ? error : expect.fail(`no TreatyError: ${String(error)}`)
}
function nested(levels: number): object {
  let value = {}
  for (let level = 1; level < levels; level += 1) value = { in: value }
  return value
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((bus) => bus.close({ drainMs: 0 })))
})

describe('what JSON cannot carry', () => {
  const circle: Record<string, unknown> = {}
  circle.self = circle
  const values: readonly [string, { note: unknown }][] = [
    ['a BigInt', { note: 10n }],
    ['a circle', { note: circle }],
    ['ten thousand levels', { note: nested(10_000) }],
    [
      'a toJSON that throws',
      {
        note: {
          toJSON() {
            throw new Error('mine')
          },
        },
      },
    ],
  ]

  it.each(values)('is refused with a code and not with a bare TypeError: %s', async (_, more) => {
    const bus = await desk()

    const error = await refused(bus.publish('note.taken', more))

    expect(['DATA_UNENCODABLE', 'SCHEMA_MISMATCH']).toContain(error.code)
    expect(error.hint).not.toBeUndefined()
    expect((await bus.stats()).published).toBe(0)
  })

  it('does not take the rest of publishMany with it', async () => {
    const bus = await desk()

    const results = await bus.publishMany([
      { event: 'note.taken', data: { note: 1 } },
      { event: 'note.taken', data: { note: 1n } },
      { event: 'note.taken', data: { note: 2 } },
    ])

    expect(results.map((result) => ('error' in result ? result.error.code : 'sent'))).toEqual([
      'sent',
      'DATA_UNENCODABLE',
      'sent',
    ])
  })

  it('is also what nests so deeply that every consumer would refuse it', async () => {
    const bus = await desk()

    const error = await refused(bus.publish('note.taken', { note: nested(127) }))
    await bus.publish('note.taken', { note: nested(126) })

    expect(error.code).toBe('DATA_UNENCODABLE')
    expect(error.message).toContain('128 levels')
  })
})

describe('arguments of the wrong type', () => {
  it.each([
    ['key', { key: 7 }],
    ['headers', { headers: { tenant: 7 } }],
    ['headers', { headers: 'tenant=7' }],
  ])(
    'a wrong option %s is named, and what is published beside it goes out',
    async (name, given) => {
      const bus = await desk()

      const beside = bus.publish('note.taken', { note: 1 })
      const error = await refused(
        bus.publish('note.taken', { note: 1 }, given as unknown as PublishOptions),
      )

      expect(error).toMatchObject({ code: 'OPTION_INVALID', details: { option: name } })
      await expect(beside).resolves.toMatchObject({ position: expect.any(String) })
    },
  )

  it('an event that is no text is unknown, not a crash', async () => {
    const bus = await desk()
    const error = await refused(bus.publish(undefined as unknown as 'note.taken', { note: 1 }))
    expect(error.code).toBe('UNKNOWN_EVENT')
  })

  it('ingest names what it wants when the bytes are a text, or the source is missing', async () => {
    const bus = await desk()
    const text = '{}' as unknown as Uint8Array
    const none = undefined as unknown as { source: string }
    expect((await refused(bus.ingest('note.taken', text, { source: 'web' }))).message).toBe(
      'ingest takes the bytes as a Uint8Array, found a string',
    )
    expect((await refused(bus.ingest('note.taken', Buffer.from('{}'), none))).code).toBe(
      'OPTION_INVALID',
    )
  })
})

it('ingested bytes without a type are said to lack it, not to say "undefined"', async () => {
  const bus = await desk()
  const { findings } = await bus.ingest('note.taken', Buffer.from('{"a":1}'), { source: 'web' })
  expect(findings?.[0]).toMatchObject({
    code: 'MESSAGE_TYPE_MISSING',
    message: 'the bytes name no type, expected "note.taken"',
  })
})
