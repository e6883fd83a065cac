import { setTimeout as sleep } from 'node:timers/promises'
import type { Slot } from './cast.ts'
import type { OwnBroker } from './place.ts'

export interface BlowOptions {
  readonly cast: readonly Slot[]
  /** Absent: the broker is somebody else's, and is left alone. */
  readonly broker?: OwnBroker | undefined
  readonly random: () => number
  readonly soakMs: number
  readonly leaseMs: number
  readonly note: (what: string) => void
}

/** Shares of what is done, of a hundred; what is left of them is for all processes at once. */
const kinds = [
  ['kill', 45],
  ['leave', 14],
  ['freeze', 22],
  ['broker', 12],
] as const

function kindOf(random: () => number) {
  let left = random() * 100
  for (const [kind, percent] of kinds) {
    left -= percent
    if (left < 0) return kind
  }
  return 'kill all'
}

/** Mean time between two blows. */
const pauseOf = (soakMs: number) => Math.min(3000, soakMs / 10)

/** Kills, freezes and sends away at random until the time is over; then everything runs again. */
export async function dealBlows(options: BlowOptions): Promise<void> {
  const { cast, broker, random, soakMs, leaseMs, note } = options
  const deadline = performance.now() + soakMs
  /** What is being done to each; who has something going on is left alone. */
  const busy = new Map<Slot, Promise<void>>()
  const brokerPauseMs = Math.min(30_000, soakMs / 3)
  let nextBroker = performance.now() + brokerPauseMs
  // Once at the least.
  let isBrokerDue = broker !== undefined

  const occupy = (slot: Slot, work: () => Promise<void>) => {
    if (busy.has(slot)) return
    busy.set(
      slot,
      work().finally(() => busy.delete(slot)),
    )
  }
  const replace = async (slot: Slot, pauseMs: number) => {
    await slot.kill()
    await sleep(pauseMs)
    await slot.start()
  }

  while (performance.now() < deadline) {
    await sleep(pauseOf(soakMs) * 2 * random())
    const drawn = kindOf(random)
    const isOverdue = isBrokerDue && performance.now() > deadline - soakMs / 2
    const kind = isOverdue ? 'broker' : drawn
    const slot = cast[Math.floor(random() * cast.length)] as Slot
    const pauseMs = random() * Math.min(2000, soakMs / 10)
    const frozenMs = random() * 1.6 * leaseMs
    if (kind === 'broker') {
      if (broker === undefined || performance.now() < nextBroker) continue
      isBrokerDue = false
      note('broker killed')
      broker.kill()
      await sleep(pauseMs)
      await broker.start()
      nextBroker = performance.now() + brokerPauseMs
    } else if (kind === 'kill all') {
      if (random() < 0.7) continue
      note('all killed')
      await Promise.all(busy.values())
      for (const each of cast) occupy(each, () => replace(each, pauseMs))
    } else if (!busy.has(slot)) {
      note(`${slot.role} ${{ kill: 'killed', leave: 'left', freeze: 'frozen' }[kind]}`)
      occupy(slot, async () => {
        if (kind === 'kill') await replace(slot, pauseMs)
        else if (kind === 'leave') {
          if (await slot.leave(15_000)) note(`${slot.role} left too late`)
          await slot.start()
        } else {
          slot.freeze()
          await sleep(Math.min(frozenMs, soakMs))
          // Now and then it never wakes up.
          if (frozenMs < leaseMs * 0.3) await replace(slot, 0)
          else slot.thaw()
        }
      })
    }
  }
  await Promise.all(busy.values())
}
