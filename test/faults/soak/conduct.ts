import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BusStats } from '../../../src/index.ts'
import { openBus } from '../../../src/index.ts'
import { seededRandom } from '../../../src/testing/index.ts'
import type { Balance, LeftLetter } from './balance.ts'
import { balanceOf } from './balance.ts'
import { dealBlows } from './blows.ts'
import { createSlot, type Slot } from './cast.ts'
import { soakContract } from './contract.ts'
import { verdictOn } from './desk.ts'
import { mendedFolder, openJournal, readJournal } from './journal.ts'
import type { Place } from './place.ts'
import type { Role } from './roles.ts'

const roles: readonly Role[] = ['worker', 'worker', 'worker', 'producer', 'producer', 'desk']

export interface SoakOptions {
  readonly place: Place
  /** How long things are killed; what is under way then has time of its own to arrive. */
  readonly soakMs: number
  readonly seed: number
  /** Messages a second that are published, of all producers together. */
  readonly rate: number
  readonly leaseMs: number
  readonly say?: (line: string) => void
}

export interface SoakReport extends Balance {
  readonly broker: string
  readonly seed: number
  readonly soakMs: number
  /** Milliseconds from the end of the killing until nothing waited. */
  readonly drainMs: number
  /** The broker's own books. */
  readonly ledger: Pick<
    BusStats,
    'published' | 'deliveries' | 'handled' | 'retried' | 'dead' | 'expired' | 'waiting'
  >
  /** What does not balance; empty where all does. */
  readonly faults: readonly string[]
  /** The journal and the output of the processes; kept where something does not balance. */
  readonly folder: string
}

type SoakBus = Awaited<ReturnType<typeof openKeeper>>

const openKeeper = (url: string, run: string, leaseMs: number) =>
  openBus({ contracts: [soakContract(run)], transport: url, service: 'shop', leaseMs })

/** Publishes and consumes with several processes while they and the broker are killed, and says whether the books balance. */
export async function runSoak(options: SoakOptions): Promise<SoakReport> {
  const { place, soakMs, seed, rate, leaseMs, say = () => undefined } = options
  const run = randomUUID().slice(0, 8)
  const folder = mkdtempSync(join(tmpdir(), `treaty-soak-${place.name}-`))
  mkdirSync(mendedFolder(folder))
  const journal = openJournal(folder, 'conductor')
  const crashes: string[] = []
  const note = (what: string) => journal.write({ kind: 'blow', what })
  const order = { run, url: place.url, folder, leaseMs, seed }
  const cast = roles.map((role, at) =>
    createSlot({
      at,
      order: { ...order, role, rate: rate / roles.filter((each) => each === 'producer').length },
      onCrash: (name, code) => crashes.push(`${name} ended by itself with ${code}`),
    }),
  )
  const endAll = () => void cast.map((slot) => slot.kill())
  process.once('exit', endAll)
  try {
    // The first makes the topology; together they would only wait for each other.
    await (await openKeeper(place.url, run, leaseMs)).close()
    await Promise.all(cast.map((slot) => slot.start()))
    say(`${place.name}: seed ${seed}, run ${run}, ${folder}`)
    const random = seededRandom(seed)
    await dealBlows({ cast, broker: place.broker, random, soakMs, leaseMs, note })
    const late = await leaveAll(cast, 'producer')
    const keeper = await openKeeper(place.url, run, leaseMs)
    const drainMs = await drain(keeper, { boundMs: 120_000 + 4 * leaseMs, folder })
    late.push(...(await leaveAll(cast, 'desk')), ...(await leaveAll(cast, 'worker')))
    const letters = await lettersOf(keeper)
    const stats = await keeper.stats()
    await keeper.close()
    journal.close()
    const balance = balanceOf(readJournal(folder), letters)
    const faults = [...crashes, ...late, ...faultsOf(balance, stats)]
    if (faults.length === 0) rmSync(folder, { recursive: true, force: true })
    const { published, deliveries, handled, retried, dead, expired, waiting } = stats
    const ledger = { published, deliveries, handled, retried, dead, expired, waiting }
    return { broker: place.name, seed, soakMs, drainMs, ...balance, ledger, faults, folder }
  } finally {
    await Promise.all(cast.map((slot) => slot.kill()))
    process.off('exit', endAll)
    await place.dispose(run)
  }
}

/** Those who would not go. */
async function leaveAll(cast: readonly Slot[], role: Role): Promise<string[]> {
  const isLate = await Promise.all(
    cast.filter((slot) => slot.role === role).map((slot) => slot.leave(60_000)),
  )
  return isLate.includes(true) ? [`a ${role} did not leave within 60 s`] : []
}

async function lettersOf(bus: SoakBus): Promise<LeftLetter[]> {
  const letters: LeftLetter[] = []
  let cursor: string | undefined
  do {
    const page = await bus.dead.list({ limit: 500, ...(cursor === undefined ? {} : { cursor }) })
    for (const { consumer, messageId: id, reason } of page.items) {
      if (consumer !== null) letters.push({ consumer, id, reason })
    }
    cursor = page.next
  } while (cursor !== undefined)
  return letters
}

/** Resolves once nothing waits, no dead letter is to be seen to, and nothing more has come for a while. */
async function drain(bus: SoakBus, { boundMs, folder }: { boundMs: number; folder: string }) {
  const startedAt = performance.now()
  let doneAt: number | undefined
  while (performance.now() - startedAt < boundMs) {
    const isEmpty = (await bus.stats()).waiting === 0
    const isSeenTo = async () =>
      (await lettersOf(bus)).every(({ consumer, id, reason }) => {
        return verdictOn(consumer, id, reason) === 'left'
      })
    const isDone =
      isEmpty && (await isSeenTo()) && balanceOf(readJournal(folder), await lettersOf(bus))
    if (!isDone) doneAt = undefined
    else {
      doneAt ??= performance.now()
      const isQuiet = performance.now() - doneAt > 2000
      const isLost = isDone.lost.length > 0 && performance.now() - doneAt < 20_000
      if (isQuiet && !isLost) return Math.round(doneAt - startedAt)
    }
    await sleep(500)
  }
  return Math.round(performance.now() - startedAt)
}

/** In sentences. The figures of a fault are those that say most; the journal has the rest. */
function faultsOf(balance: Balance, stats: BusStats): string[] {
  const { lost, overtaken, surprises, acknowledged } = balance
  const faults: string[] = []
  if (acknowledged === 0) faults.push('nothing was published')
  if (lost.length > 0)
    faults.push(`${lost.length} are lost, such as ${lost.slice(0, 3).join(', ')}`)
  if (overtaken.length > 0) {
    const some = overtaken.slice(0, 3).join(', ')
    faults.push(`${overtaken.length} were overtaken, such as ${some}`)
  }
  for (const [reason, count] of Object.entries(surprises)) {
    // Who is killed again and again with one message in hand cannot know that it was not the message.
    if (reason !== 'CRASH_LOOP') faults.push(`${count} died of ${reason} that were to pass`)
  }
  if (stats.published < acknowledged) {
    faults.push(`the ledger says that ${stats.published} of ${acknowledged} were published`)
  }
  if (stats.deliveries < balance.owed) {
    faults.push(`the ledger says ${stats.deliveries} deliveries, where ${balance.owed} are owed`)
  }
  for (const row of stats.rows) {
    if (row.consumer === null) continue
    const { deliveries, handled, skipped, dead, expired, waiting } = row
    const who = `the ledger of ${row.consumer}`
    if (deliveries !== handled + skipped + dead + expired + waiting) {
      faults.push(`${who} does not add up: ${JSON.stringify(row)}`)
    }
    if (waiting !== 0) faults.push(`${who} says that ${waiting} wait`)
  }
  return faults
}
