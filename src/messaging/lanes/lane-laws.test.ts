import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Random, seededRandom } from '../../core/random.ts'
import { fakeClock } from '../../testing/fake-clock.ts'
import type { Delivery, Settlement } from '../transport.ts'
import { LogBroker, Owner } from './log-broker.test.kit.ts'

const lanes = ['orders/0', 'orders/1']
const keys = ['a', 'b', 'c', 'd']

/** Everything that happened, as somebody outside of the broker saw it. */
class Ledger {
  readonly published: { id: string; key: string; place: number }[] = []
  readonly startedAt = new Map<string, number>()
  readonly succeededAt = new Map<string, number>()
  readonly attempts = new Map<string, number[]>()
  #step = 0

  start(id: string, attempt: number): void {
    this.#step += 1
    if (!this.startedAt.has(id)) this.startedAt.set(id, this.#step)
    this.attempts.set(id, [...(this.attempts.get(id) ?? []), attempt])
  }
  succeed(id: string): void {
    this.#step += 1
    if (!this.succeededAt.has(id)) this.succeededAt.set(id, this.#step)
  }

  /** Messages that were first started before the one before them, of the same key, had first come to its end. */
  overtakers(): string[] {
    return this.published.flatMap(({ id, key, place }) => {
      const before = this.published.filter((each) => each.key === key && each.place < place).at(-1)
      if (before === undefined) return []
      const end = this.succeededAt.get(before.id) ?? Number.POSITIVE_INFINITY
      return (this.startedAt.get(id) ?? Number.POSITIVE_INFINITY) < end ? [id] : []
    })
  }
}

/** One process: handles what it gets, by chance. */
class Process {
  readonly owner: Owner
  readonly #ledger: Ledger
  readonly #random: Random
  readonly #held: Delivery[] = []

  constructor(
    broker: LogBroker,
    clock: ReturnType<typeof fakeClock>,
    about: { ledger: Ledger; random: Random; troubled: boolean },
  ) {
    this.#ledger = about.ledger
    this.#random = about.random
    const trouble = async () => {
      if (!about.troubled || about.random() > 0.2) return undefined
      return about.random() < 0.5 ? 'before' : 'after'
    }
    this.owner = new Owner({
      broker,
      clock,
      trouble,
      reserve: 3,
      window: 4,
      group: { deliveriesMax: 1000 },
    })
    this.owner.lanes
      .subscribe((deliveries) => {
        for (const delivery of deliveries) {
          this.#ledger.start(delivery.record.id, delivery.attempt)
          this.#held.push(delivery)
        }
      })
      .grant(1_000_000)
  }

  /** Settles one of those it holds. */
  work(healthy: boolean): void {
    if (this.owner.isDead || this.#held.length === 0) return
    const [delivery] = this.#held.splice(Math.floor(this.#random() * this.#held.length), 1)
    if (delivery === undefined) return
    const chance = healthy ? 1 : this.#random()
    let settlement: Settlement = { outcome: 'ack', delivery }
    if (chance < 0.2)
      settlement = { outcome: 'retry', delivery, delayMs: Math.floor(this.#random() * 50) }
    else if (chance < 0.3) settlement = { outcome: 'release', delivery }
    else this.#ledger.succeed(delivery.record.id)
    if (chance >= 0.3 && chance < 0.35) {
      settlement = { outcome: 'dead', delivery, failure: { reason: 'HANDLER_FAILED' } }
    }
    void this.owner.lanes.settle([settlement])
  }
  get holds(): number {
    return this.owner.isDead ? 0 : this.#held.length
  }
}

/** Lets processes come, work, die and hand over for a while, then a healthy one finish. */
async function live(seed: number, steps: number): Promise<{ broker: LogBroker; ledger: Ledger }> {
  const random = seededRandom(seed)
  const clock = fakeClock()
  const broker = new LogBroker()
  const ledger = new Ledger()
  const owners = new Map<string, Process>()
  const make = (troubled: boolean) => new Process(broker, clock, { ledger, random, troubled })
  let processes = [make(true), make(true)]
  const publish = () => {
    const lane = lanes[Math.floor(random() * lanes.length)] as string
    const key = `${lane}${keys[Math.floor(random() * keys.length)]}`
    const id = `m${ledger.published.length}`
    const entry = broker.publish(lane, { id, key })
    ledger.published.push({ id, key, place: entry.place as number })
    owners.get(lane)?.owner.read(lane)
  }
  const own = (lane: string, process: Process) => {
    owners.set(lane, process)
    process.owner.claim(lane)
  }
  const act = async () => {
    const chance = random()
    const at = Math.floor(random() * processes.length)
    const lane = lanes[Math.floor(random() * lanes.length)] as string
    if (chance < 0.3) publish()
    else if (chance < 0.8) processes[at]?.work(false)
    else if (chance < 0.88) await clock.advance(Math.floor(random() * 40))
    else if (chance < 0.91) {
      processes[at]?.owner.kill()
      processes = processes.map((each, index) => (index === at ? make(true) : each))
    } else if (chance < 0.95) void owners.get(lane)?.owner.release(lane)
    // A claim while another still owns the lane is what a fence is for; it happens once that one may not start any more.
    else if (owners.get(lane)?.owner.isDead !== false || broker.lane(lane).isReleased) {
      own(lane, processes[at] as Process)
    }
    await clock.tick()
  }
  for (let step = 0; step < steps; step += 1) await act()

  for (const process of processes) process.owner.kill()
  const last = make(false)
  for (const lane of lanes) own(lane, last)
  for (let idle = 0; idle < 20; ) {
    await clock.advance(30)
    if (last.holds > 0) idle = 0
    else idle += 1
    while (last.holds > 0) last.work(true)
  }
  return { broker, ledger }
}

describe('laws of lanes', () => {
  it('lose nothing, end nothing twice, and let no message overtake another of its key, whatever dies', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
        const { broker, ledger } = await live(seed, 300)
        const ended = broker.endings.map(({ id }) => id)
        expect(ended.toSorted()).toEqual(ledger.published.map(({ id }) => id).toSorted())
        expect(ledger.overtakers()).toEqual([])
        for (const attempts of ledger.attempts.values()) {
          expect(Math.max(...attempts)).toBeLessThanOrEqual(attempts.length)
        }
      }),
      { numRuns: 60 },
    )
  }, 60_000)
})
