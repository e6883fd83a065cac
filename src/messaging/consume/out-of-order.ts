import type { Message } from '../../contracts/index.ts'
import { isDateTime } from '../../contracts/index.ts'
import type { Clock } from '../../core/clock.ts'
import { delay, systemClock } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import { createIdSource } from '../../core/ids.ts'
import type { Json } from '../../core/json.ts'
import type { Lock, Store } from '../../store/index.ts'
import type { Handler, HandlerContext, Outcome } from '../types.ts'

/** Where a consumer that is indifferent to order remembers how far it is. */
export interface OrderOptions<Data> {
  /** One for all replicas of the consumer; it outlives them. */
  readonly store: Pick<Store, 'records' | 'locks'>
  /** Name of the consumer: its own place in the store. */
  readonly name: string
  /** What the order is about, such as the order id: other keys are independent of it. */
  readonly key: (message: Message<Data>) => string
  readonly clock?: Clock
}

const lockLeaseMs = 30_000
const lockPollMs = 20
/** Digits of a position, so that text sorts like the number. */
const positionDigits = 16

type Work = () => Promise<Outcome | undefined>

/** One message of a key at a time: within this process by a chain, between processes by a lock. */
function createTurnstile<Data>(options: OrderOptions<Data>) {
  const { store, name, clock = systemClock } = options
  const holder = createIdSource()()
  const tails = new Map<string, Promise<unknown>>()

  async function lockOf(key: string): Promise<Lock | undefined> {
    const deadline = clock.monotonic() + lockLeaseMs
    while (clock.monotonic() < deadline) {
      const lock = await store.locks.acquire(`${name}:${key}`, holder, lockLeaseMs)
      if (lock) return lock
      await delay(clock, lockPollMs)
    }
    return undefined
  }

  async function locked(key: string, context: HandlerContext, work: Work) {
    const lock = await lockOf(key)
    if (!lock) return context.release({ afterMs: lockPollMs })
    try {
      return await work()
    } finally {
      await store.locks.release(lock)
    }
  }

  return (key: string, context: HandlerContext, work: Work): Promise<Outcome | undefined> => {
    const before = tails.get(key) ?? Promise.resolve()
    const own = before.then(() => locked(key, context, work))
    const tail = own.catch(() => undefined)
    tails.set(key, tail)
    void tail.then(() => {
      if (tails.get(key) === tail) tails.delete(key)
    })
    return own
  }
}

const isDone = (outcome: Outcome | undefined): boolean => !outcome || outcome.outcome === 'ack'

/** Below zero where `a` is older. Date-times compare as instants, however their offset is written. */
function compareVersions(a: number | string, b: number | string): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  const [one, two] = [String(a), String(b)]
  if (isDateTime(one) && isDateTime(two)) {
    const byInstant = Date.parse(one) - Date.parse(two)
    if (byInstant !== 0) return byInstant
    // A date keeps milliseconds; what follows them is compared as text of equal length.
    return compareTexts(fraction(one), fraction(two))
  }
  return compareTexts(one, two)
}
const compareTexts = (one: string, two: string): number => (one < two ? -1 : one > two ? 1 : 0)
const fraction = (text: string): string => (/\.(\d+)/.exec(text)?.[1] ?? '').padEnd(9, '0')

/**
 * For messages that carry whole states: hands a message on only where its version is greater than the last one
 * of its key, so the final state is the same in whatever order they come, and however often. What is older is
 * acknowledged unseen.
 *
 * `version`: a number, or text; date-times compare as instants.
 */
export function latestOnly<Data>(
  options: OrderOptions<Data> & { readonly version: (message: Message<Data>) => number | string },
  handler: Handler<Data>,
): Handler<Data> {
  const inTurn = createTurnstile(options)
  const { records } = options.store
  const collection = `latest:${options.name}`
  return async (message, context) => {
    const key = options.key(message)
    const version = options.version(message)
    return inTurn(key, context, async () => {
      const known = await records.get(collection, key)
      const last = known?.value as number | string | undefined
      if (last !== undefined && compareVersions(version, last) <= 0) return undefined
      const outcome = (await handler(message, context)) ?? undefined
      if (isDone(outcome)) await records.put(collection, key, version)
      return outcome
    })
  }
}

/**
 * For messages that carry changes: hands the messages of a key on in the order of their sequence numbers, each
 * once. One that comes too early is kept in the store, and acknowledged; it is handed on when the gap before it
 * is filled, with the context of the message that filled it. Should the handler fail on a kept one, that is an
 * attempt of the message that filled the gap, whose retry or replay goes on from there.
 *
 * @throws OPTION_INVALID when a sequence number is not a safe integer
 */
export function inSequence<Data>(
  options: OrderOptions<Data> & {
    readonly sequence: (message: Message<Data>) => number
    /** The number that a key begins with. Default 1. */
    readonly first?: number
  },
  handler: Handler<Data>,
): Handler<Data> {
  const inTurn = createTurnstile(options)
  const { records } = options.store
  const { name, first = 1 } = options
  const positions = `sequence:${name}`
  const waiting = `sequence-waiting:${name}`
  const place = (key: string, number: number) =>
    `${key}:${String(number - first).padStart(positionDigits, '0')}`

  /** Hands one message on and moves the position; what it did instead, where it did not succeed. */
  async function apply(key: string, message: Message<Data>, context: HandlerContext) {
    const outcome = (await handler(message, context)) ?? undefined
    if (!isDone(outcome)) return outcome
    await records.put(positions, key, options.sequence(message) + 1)
    return undefined
  }

  async function catchUp(key: string, context: HandlerContext): Promise<Outcome | undefined> {
    for (;;) {
      const next = ((await records.get(positions, key))?.value ?? first) as number
      const kept = await records.get(waiting, place(key, next))
      if (!kept) return undefined
      const outcome = await apply(key, kept.value as unknown as Message<Data>, context)
      if (outcome) return outcome
      await records.delete(waiting, place(key, next))
    }
  }

  return async (message, context) => {
    const key = options.key(message)
    const number = options.sequence(message)
    if (!Number.isSafeInteger(number)) {
      throw new TreatyError(
        'OPTION_INVALID',
        `the sequence number of "${message.id}" is ${number}`,
        {
          hint: 'Return an integer from sequence.',
        },
      )
    }
    return inTurn(key, context, async () => {
      const next = ((await records.get(positions, key))?.value ?? first) as number
      if (number > next) {
        await records.put(waiting, place(key, number), message as unknown as Json)
        return undefined
      }
      const outcome = number === next ? await apply(key, message, context) : undefined
      return outcome ?? (await catchUp(key, context))
    })
  }
}
