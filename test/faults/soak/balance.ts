import { consumersOf, orderedConsumers } from './contract.ts'
import type { Entry } from './journal.ts'

/** A dead letter that the broker still has. */
export interface LeftLetter {
  readonly consumer: string
  readonly id: string
  readonly reason: string
}

/** What the books of all processes say together. Figures without a word on it are message × consumer. */
export interface Balance {
  /** Messages that the broker acknowledged. */
  readonly acknowledged: number
  /** Messages whose publishing failed and was not tried again with success. */
  readonly unknown: number
  /** Messages of those that arrived all the same. */
  readonly unknownArrived: number
  /** Messages that were acknowledged after a failure under the same id: the broker may have them twice. */
  readonly sentAgain: number
  /** What the consumers owe: each message that was taken, for each consumer of its event. */
  readonly owed: number
  readonly handled: number
  readonly dead: number
  readonly expired: number
  readonly lost: readonly string[]
  /** Handled once more than once. */
  readonly repeated: number
  /** Begun after a later message of their key. */
  readonly overtaken: readonly string[]
  /** Reasons of dead letters of messages that nobody sent to die. */
  readonly surprises: Readonly<Record<string, number>>
  /** Codes of what processes were told of. */
  readonly problems: Readonly<Record<string, number>>
  readonly blows: Readonly<Record<string, number>>
}

type Sent = Extract<Entry, { kind: 'sending' }>

interface Books {
  readonly sent: Map<string, Sent>
  readonly taken: Set<string>
  readonly unknown: Set<string>
  /** By `consumer id`: how often, and when the first of them began. */
  readonly handled: Map<string, { times: number; begun: number }>
  readonly dropped: Set<string>
  readonly replayed: Set<string>
  readonly discarded: Set<string>
}

const nameOf = (consumer: string, id: string) => `${consumer} ${id}`

function readBooks(entries: readonly Entry[]): Books {
  const books: Books = {
    sent: new Map(),
    taken: new Set(),
    unknown: new Set(),
    handled: new Map(),
    dropped: new Set(),
    replayed: new Set(),
    discarded: new Set(),
  }
  for (const entry of entries) {
    if (entry.kind === 'sending') books.sent.set(entry.id, entry)
    else if (entry.kind === 'taken') books.taken.add(entry.id)
    else if (entry.kind === 'unknown') books.unknown.add(entry.id)
    else if ('consumer' in entry) {
      const name = nameOf(entry.consumer, entry.id)
      if (entry.kind === 'handled') {
        const { times, begun } = books.handled.get(name) ?? { times: 0, begun: entry.begun }
        books.handled.set(name, { times: times + 1, begun: Math.min(begun, entry.begun) })
      } else if (entry.kind === 'dropping') books.dropped.add(name)
      else if (entry.kind === 'replaying') books.replayed.add(name)
      else books.discarded.add(name)
    }
  }
  return books
}

/** What became of one message at one consumer. */
function endOf(books: Books, left: ReadonlyMap<string, string>, name: string, sent: Sent) {
  if (books.handled.has(name)) return 'handled'
  const isDead = left.has(name) || books.discarded.has(name)
  if (isDead && (sent.fate === 'fail' || sent.fate === 'die') && left.get(name) !== 'EXPIRED')
    return 'dead'
  if (books.dropped.has(name) || sent.ttlMs !== undefined) return 'expired'
  return isDead ? 'dead' : 'lost'
}

/** Sets what was published against what became of it. */
export function balanceOf(entries: readonly Entry[], letters: readonly LeftLetter[]): Balance {
  const books = readBooks(entries)
  const left = new Map(letters.map(({ consumer, id, reason }) => [nameOf(consumer, id), reason]))
  const ends = { handled: 0, dead: 0, expired: 0, lost: [] as string[] }
  let unknown = 0
  let unknownArrived = 0
  for (const [id, sent] of books.sent) {
    const consumers = consumersOf[sent.event]
    if (!books.taken.has(id)) {
      unknown += 1
      const isThere = consumers.some((each) => {
        const name = nameOf(each, id)
        return books.handled.has(name) || left.has(name) || books.dropped.has(name)
      })
      if (!isThere) continue
      unknownArrived += 1
    }
    for (const consumer of consumers) {
      const name = nameOf(consumer, id)
      const end = endOf(books, left, name, sent)
      if (end === 'lost') ends.lost.push(name)
      else ends[end] += 1
    }
  }
  const total = [...books.handled.values()].reduce((sum, { times }) => sum + times, 0)
  return {
    acknowledged: books.taken.size,
    unknown,
    unknownArrived,
    sentAgain: [...books.unknown].filter((id) => books.taken.has(id)).length,
    owed: ends.handled + ends.dead + ends.expired + ends.lost.length,
    ...ends,
    repeated: total - books.handled.size,
    overtaken: overtakenOf(books),
    surprises: tally(
      letters.filter(({ id, reason }) => !isExpected(books.sent.get(id), reason)),
      ({ reason }) => reason,
    ),
    problems: tally(entries, (entry) => ('code' in entry ? entry.code : undefined)),
    blows: tally(entries, (entry) => (entry.kind === 'blow' ? entry.what : undefined)),
  }
}

function isExpected(sent: Sent | undefined, reason: string): boolean {
  if (reason === 'EXPIRED') return sent?.ttlMs !== undefined
  return sent?.fate === 'fail' || sent?.fate === 'die'
}

/**
 * By their beginnings: the handler of a process that was frozen ends when it thaws, long after its messages have expired, or were given to
 * others. A message that was replayed without blocking its key has left its place.
 */
function overtakenOf(books: Books): string[] {
  const last = new Map<string, number>()
  const overtaken: string[] = []
  const inOrder = [...books.handled].toSorted(([, one], [, other]) => one.begun - other.begun)
  for (const [name] of inOrder) {
    const [consumer, id] = name.split(' ') as [string, string]
    const sent = books.sent.get(id)
    if (!sent || !books.taken.has(id) || !orderedConsumers.includes(consumer)) continue
    if (consumer !== 'strict' && books.replayed.has(name)) continue
    const chain = nameOf(consumer, sent.key)
    if (sent.sequence < (last.get(chain) ?? -1)) overtaken.push(name)
    else last.set(chain, sent.sequence)
  }
  return overtaken
}

function tally<Item>(items: readonly Item[], nameOfItem: (item: Item) => string | undefined) {
  const counts: Record<string, number> = {}
  for (const item of items) {
    const name = nameOfItem(item)
    if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}
