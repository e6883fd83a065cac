import { describe, expect, it } from 'vitest'
import { openStore } from '../../store/index.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import { bytes, request, secret, startMs } from './inbound.test.kit.ts'
import { createInbox, type InboxOptions } from './inbox.ts'
import { createReceiver } from './receiver.ts'

const retry = { attempts: 3, baseMs: 1000, factor: 2, capMs: 60_000, jitter: 'none' } as const

async function world(handle: InboxOptions['handle'], name = 'psp') {
  const clock = fakeClock()
  const store = await openStore('memory:', { clock })
  const inbox = createInbox({ store, name, handle, retry, clock, random: () => 0.5 })
  const receiver = createReceiver({
    sources: { psp: { verify: { scheme: 'standard-webhooks', secrets: [secret] }, inbox } },
    store,
    clock,
  })
  return { clock, store, inbox, receiver }
}

describe('an inbox', () => {
  it('keeps a delivery before it is answered, and hands it out with its id, headers and bytes', async () => {
    const seen: unknown[] = []
    const { clock, inbox, receiver } = await world(
      async ({ id, headers, rawBody }, { attempt }) => {
        seen.push([attempt, id, headers['webhook-id'], Buffer.from(rawBody).toString()])
      },
    )

    expect((await receiver.receive('psp', request('{"a": 1}'))).status).toBe(200)
    expect(await inbox.pending()).toBe(1)
    inbox.start()
    await clock.advance(10)

    expect(seen).toEqual([[1, 'msg_1', 'msg_1', '{"a": 1}']])
    expect(await inbox.pending()).toBe(0)
    await inbox.stop()
  })

  it('tries again with the same id, headers and bytes, then buries it, and hands it out again on replay', async () => {
    const seen: unknown[] = []
    let isBroken = true
    const { clock, inbox, receiver } = await world(
      async ({ id, rawBody, headers }, { attempt }) => {
        seen.push([attempt, id, headers['content-type'], Buffer.from(rawBody).toString()])
        if (isBroken) throw new Error('no')
      },
    )
    await receiver.receive('psp', request('{}'))
    inbox.start()

    await clock.advance(20_000)

    expect(seen).toEqual([1, 2, 3].map((attempt) => [attempt, 'msg_1', 'application/json', '{}']))
    const [letter] = await inbox.dead.list()
    expect(letter).toMatchObject({ attempts: 3, reason: 'no', delivery: { id: 'msg_1' } })
    expect(letter?.delivery.rawBody).toEqual(Buffer.from(bytes('{}')))
    isBroken = false
    expect(await inbox.dead.replay(letter?.key ?? '')).toBe(true)
    await clock.advance(2000)
    expect(seen).toHaveLength(4)
    expect([await inbox.pending(), await inbox.dead.list()]).toEqual([0, []])
    await inbox.stop()
  })

  it('is shared by processes, each delivery handled once', async () => {
    const seen: string[] = []
    const handle = async ({ id }: { id: string }) => void seen.push(id)
    const { clock, store, inbox, receiver } = await world(handle)
    const second = createInbox({ store, name: 'psp', handle, retry, clock })
    for (let n = 0; n < 30; n += 1) {
      await receiver.receive('psp', request('{}', { id: `m${n}`, at: startMs }))
    }
    inbox.start()
    second.start()

    await clock.advance(5000)

    expect(seen.toSorted()).toEqual(Array.from({ length: 30 }, (_, n) => `m${n}`).toSorted())
    await Promise.all([inbox.stop(), second.stop()])
  })

  it('takes over what a crashed process had begun, once its lease has passed', async () => {
    const seen: string[] = []
    const { clock, store, inbox, receiver } = await world(async ({ id }) => void seen.push(id))
    await receiver.receive('psp', request('{}'))
    const [row] = await store.records.list('webhook.inbox.psp', { limit: 1 })
    await store.claims.claim('webhook.inbox.psp', row?.key ?? '', 60_000)
    inbox.start()

    await clock.advance(59_000)
    expect(seen).toEqual([])
    await clock.advance(3000)
    expect(seen).toEqual(['msg_1'])
    await inbox.stop()
  })
})
