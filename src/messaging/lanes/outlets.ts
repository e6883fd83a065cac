import type {
  Delivery,
  DeliverySink,
  SubscriptionSpec,
  TransportSubscription,
} from '../transport.ts'

interface Outlet {
  readonly sink: DeliverySink
  readonly onLost: SubscriptionSpec['onLost']
  credit: number
  isPaused: boolean
  batch: Delivery[]
}

/** The subscriptions of one group in this process, and their credit. */
export class Outlets {
  readonly #onCredit: () => void
  #open: Outlet[] = []
  #turn = 0

  constructor(onCredit: () => void) {
    this.#onCredit = onCredit
  }

  get count(): number {
    return this.#open.length
  }
  get hasCredit(): boolean {
    for (const outlet of this.#open) if (canTake(outlet)) return true
    return false
  }

  open(
    sink: DeliverySink,
    isReady: () => boolean,
    onLost: SubscriptionSpec['onLost'],
  ): TransportSubscription {
    const outlet: Outlet = { sink, onLost, credit: 0, isPaused: false, batch: [] }
    this.#open.push(outlet)
    const onCredit = this.#onCredit
    return {
      grant(count) {
        outlet.credit += count
        onCredit()
      },
      pause() {
        outlet.isPaused = true
      },
      resume() {
        outlet.isPaused = false
        onCredit()
      },
      stop: async () => {
        this.#open = this.#open.filter((each) => each !== outlet)
      },
      get isReady() {
        return isReady()
      },
    }
  }

  /** Puts a delivery into the hands of whose turn it is, and gives what to call if it is lost; ask `hasCredit` first. */
  give(delivery: Delivery): SubscriptionSpec['onLost'] {
    for (let tried = 0; tried < this.#open.length; tried += 1) {
      this.#turn = (this.#turn + 1) % this.#open.length
      const outlet = this.#open[this.#turn]
      if (outlet === undefined || !canTake(outlet)) continue
      outlet.credit -= 1
      outlet.batch.push(delivery)
      return outlet.onLost
    }
    return undefined
  }

  /** Hands out what was given. */
  hand(): void {
    for (const outlet of this.#open) {
      if (outlet.batch.length === 0) continue
      const { batch } = outlet
      outlet.batch = []
      outlet.sink(batch)
    }
  }
}

function canTake({ credit, isPaused }: Outlet): boolean {
  return credit > 0 && !isPaused
}
