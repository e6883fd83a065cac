import { describe, expect, it } from 'vitest'
import { fakeClock } from '../testing/fake-clock.ts'
import { withPatience } from './patience.ts'

describe('a broker that takes its time', () => {
  it('was waited for in silence, and is now named after a moment, without user and password', async () => {
    const clock = fakeClock()
    const notes: string[] = []
    const context = { clock, note: (text: string) => void notes.push(text) }
    const work = Promise.withResolvers<number>()
    const waiting = withPatience(
      context,
      'amqp://guest:guest@127.0.0.1:5672/?queues=classic',
      work.promise,
    )

    await clock.advance(1000)
    expect(notes).toEqual([])
    await clock.advance(1000)
    expect(notes).toEqual(['waiting for amqp://***@127.0.0.1:5672/ …'])
    await clock.advance(20_000)
    expect(notes.slice(1)).toEqual(['still waiting, 12 s', 'still waiting, 22 s'])
    work.resolve(1)
    expect(await waiting).toBe(1)
    await clock.advance(60_000)
    expect(notes).toHaveLength(3)
  })

  it('is not spoken of where it is a file', async () => {
    const clock = fakeClock()
    const notes: string[] = []
    const context = { clock, note: (text: string) => void notes.push(text) }
    const work = Promise.withResolvers<void>()
    const waiting = withPatience(context, 'sqlite:/tmp/treaty.db', work.promise)
    await clock.advance(60_000)
    work.resolve()
    await waiting
    expect(notes).toEqual([])
  })
})
