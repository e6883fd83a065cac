import { expect, test } from 'vitest'
import type { Clock } from '../../core/clock.ts'
import type { Bus, BusStats, DeadLetterSummary } from '../../messaging/index.ts'
import { createBusWatcher } from './watcher.ts'

const zero = {
  published: 0,
  deliveries: 0,
  handled: 0,
  skipped: 0,
  retried: 0,
  dead: 0,
  expired: 0,
  waiting: 0,
}

const letter = (id: string, failedAt: number) => ({ id, failedAt }) as DeadLetterSummary

/** When the watcher was made, in epoch milliseconds. */
const started = 1000

/** A bus whose content a test sets, and a clock that a test turns. */
function stage(over: { mayRest?: () => boolean } = {}) {
  const world = {
    stats: zero,
    messages: [] as { name: string; at?: number }[],
    dead: [] as DeadLetterSummary[],
    now: 0,
  }
  const seen: string[] = []
  const bus = {
    stats: async (): Promise<BusStats> => ({ ...world.stats, byEvent: {}, rows: [] }),
    messages: async ({ cursor, limit = 50 }: { cursor?: string; limit?: number }) => {
      const from = Number(cursor ?? 0)
      const items = world.messages
        .slice(from, from + limit)
        .map(({ name, at = started }, index) => ({
          record: { position: String(from + index + 1), publishedAt: at },
          message: { data: { name } },
        }))
      const next = from + limit < world.messages.length ? { next: String(from + limit) } : {}
      return { items, ...next }
    },
    dead: {
      list: async ({
        limit = 50,
        failedAfter = 0,
        cursor,
      }: {
        limit?: number
        failedAfter?: number
        cursor?: string
      }) => {
        const letters = world.dead.filter(({ failedAt }) => failedAt >= failedAfter)
        const from = Number(cursor ?? 0)
        const next = from + limit < letters.length ? { next: String(from + limit) } : {}
        return { items: letters.slice(from, from + limit), ...next }
      },
    },
  } as unknown as Bus
  const watcher = createBusWatcher({
    bus: () => bus,
    events: ['project.created'],
    clock: { now: () => started, monotonic: () => world.now } as Clock,
    signal: new AbortController().signal,
    mayRest: over.mayRest ?? (() => true),
    sink: {
      message: (event, data) => seen.push(`${event} ${(data as { name: string }).name}`),
      dead: (letters, more) => seen.push(`dead ${letters.map(({ id }) => id).join(',')} +${more}`),
      counts: ({ published }) => seen.push(`counts ${published}`),
      rest: () => seen.push('rest'),
    },
  })
  return { world, seen, watcher }
}

test('what was there before is known; what comes later is shown once', async () => {
  const { world, seen, watcher } = stage()
  world.messages.push({ name: 'old', at: started - 1 })
  world.dead.push(letter('a', started - 1))
  await watcher.look()
  world.messages.push({ name: 'new' })
  world.stats = { ...zero, published: 2, waiting: 1 }
  await watcher.look()
  await watcher.look()
  expect(seen).toEqual(['counts 0', 'project.created new', 'counts 2'])
})

test('messages on several pages are each shown once', async () => {
  const { world, seen, watcher } = stage()
  await watcher.look()
  for (let at = 0; at < 450; at += 1) world.messages.push({ name: String(at) })
  world.stats = { ...zero, published: 450 }
  await watcher.look()
  world.messages.push({ name: '450' })
  world.stats = { ...zero, published: 451 }
  await watcher.look()
  const shown = seen.filter((line) => line.startsWith('project'))
  expect(shown.length).toBe(451)
  expect(new Set(shown).size).toBe(451)
})

test('of many dead letters at once a few are shown, and the rest counted', async () => {
  const { world, seen, watcher } = stage()
  await watcher.look()
  for (let at = 0; at < 450; at += 1) world.dead.push(letter(`d${at}`, 1000 + (at >> 3)))
  world.stats = { ...zero, dead: 450 }
  await watcher.look()
  world.dead.push(letter('same millisecond', 1000 + (449 >> 3)), letter('later', 9000))
  world.stats = { ...zero, dead: 452 }
  await watcher.look()
  world.stats = { ...zero, dead: 452, handled: 1 }
  await watcher.look()
  world.now = 60_000
  world.stats = { ...zero, dead: 452, handled: 2 }
  await watcher.look()
  expect(seen.filter((line) => line.startsWith('dead'))).toEqual([
    'dead d0,d1,d2,d3,d4 +0',
    'dead  +447',
  ])
})

test('it comes to rest once, when nothing waits, nothing moves and nothing more is to come', async () => {
  let feedsAreDone = false
  const { world, seen, watcher } = stage({ mayRest: () => feedsAreDone })
  const rests = () => seen.filter((line) => line === 'rest').length
  world.stats = { ...zero, published: 1, waiting: 1 }
  await watcher.look()
  world.now = 60_000
  await watcher.look()
  expect(rests()).toBe(0)
  world.stats = { ...zero, published: 1, handled: 1 }
  await watcher.look()
  world.now = 120_000
  await watcher.look()
  expect(rests()).toBe(0)
  feedsAreDone = true
  await watcher.look()
  await watcher.look()
  expect(rests()).toBe(1)
})
