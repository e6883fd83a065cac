import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { isTreatyError } from '../../../src/index.ts'
import type { Fate, SoakEvent } from './contract.ts'
import type { RoleContext } from './roles.ts'

const keys = 10
const looseBatch = 8
/** Of a hundred messages; the others pass. */
const shares: readonly (readonly [fate: Fate, percent: number])[] = [
  ['retry', 6],
  ['fail', 1.5],
  ['die', 1.5],
  ['drop', 0.5],
  ['release', 1],
  ['slow', 1.5],
]

function fateOf(random: () => number): Fate {
  let left = random() * 100
  for (const [fate, percent] of shares) {
    left -= percent
    if (left < 0) return fate
  }
  return 'pass'
}

/**
 * Publishes until it is ended: each key one after another, the keys side by side, and what has no key in batches. Keys belong to this
 * process alone, since what a killed one had under way may reach the broker after the first message of the next.
 */
export async function produce(context: RoleContext): Promise<void> {
  const { order, ended, random } = context
  const keyedRate = order.rate * 0.8
  const publisher = createPublisher(context)
  context.ready()

  const key = async (at: number) => {
    for (let sequence = 0; !ended.aborted; sequence += 1) {
      await publisher.keyed(`${order.name}-k${at}`, sequence)
      await sleep((keys / keyedRate) * 1000 * 2 * random())
    }
  }
  const loose = async () => {
    for (let sequence = 0; !ended.aborted; sequence += looseBatch) {
      await publisher.loose(sequence)
      await sleep((looseBatch / (order.rate - keyedRate)) * 1000 * 2 * random())
    }
  }
  await Promise.all([loose(), ...Array.from({ length: keys }, (_, at) => key(at))])
}

function createPublisher({ bus, order, journal, random, ended }: RoleContext) {
  function announce(event: SoakEvent, key: string, sequence: number) {
    const id = randomUUID()
    const fate = fateOf(random)
    const ttlMs = random() < 0.03 ? 50 + Math.floor(random() * 2000) : undefined
    const ttl = ttlMs === undefined ? {} : { ttlMs }
    journal.write({ kind: 'sending', id, event, key, sequence, fate, ...ttl })
    return { event, data: { key, sequence, fate }, id, ...ttl }
  }
  /** @throws what says that nothing was sent: it is a fault of ours */
  function unknown(id: string, error: unknown): void {
    const code = isTreatyError(error) ? error.code : 'UNKNOWN'
    if (code === 'SCHEMA_MISMATCH') throw error
    journal.write({ kind: 'unknown', id, code })
  }

  return {
    /** Half of those that fail are tried again under their id, as a careful caller would; the others stay unknown. */
    async keyed(key: string, sequence: number): Promise<void> {
      const { event, data, ...options } = announce('parcel.moved', key, sequence)
      for (;;) {
        try {
          await bus.publish(event, data, options)
          journal.write({ kind: 'taken', id: options.id })
          return
        } catch (error) {
          unknown(options.id, error)
          if (random() < 0.5 || ended.aborted) return
          await sleep(100 + 400 * random())
        }
      }
    },

    async loose(from: number): Promise<void> {
      const batch = Array.from({ length: looseBatch }, (_, at) => ({
        ...announce('weather.seen', `${order.name}-w`, from + at),
        ...(random() < 0.05 ? { delayMs: Math.floor(random() * 3000) } : {}),
      }))
      const results = await bus
        .publishMany(batch)
        .catch((error: unknown) => batch.map(() => ({ error })))
      for (const [at, result] of results.entries()) {
        const { id } = batch[at] as { id: string }
        if ('error' in result) unknown(id, result.error)
        else journal.write({ kind: 'taken', id })
      }
    },
  }
}
