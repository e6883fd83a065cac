import { randomUUID } from 'node:crypto'
import { createFlow, type Flow, type Load, makeOrders } from '../bus-load.ts'
import { type Round, type Side, timed } from '../measure.ts'
import type { Order } from '../orders.ts'

/** What the consuming end of a side tells, as it happens. */
export interface Told {
  /** A handler begins with this order. */
  handling(order: Order): void
  /** That many messages are acknowledged for good. */
  acknowledged(count: number): void
}

/** Both ends of one client on one broker, connected and consuming. */
export interface Ends {
  /** Resolves after the durable acknowledgement of all. */
  publish(orders: readonly Order[]): Promise<unknown>
  close(): Promise<void>
}

/** What travels on the sides without Treaty: an envelope of the same fields and size, as a program with its client alone would send. */
export interface Envelope {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly timestamp: string
  readonly correlation_id: string
  readonly data: Order
  readonly metadata: { readonly schema_version: string }
}

export function envelopeOf(data: Order): Envelope {
  const id = randomUUID()
  return {
    id,
    type: 'order.placed',
    source: 'shop',
    timestamp: new Date().toISOString(),
    correlation_id: id,
    data,
    metadata: { schema_version: '1.0.0' },
  }
}

export function encode(order: Order): string {
  return JSON.stringify(envelopeOf(order))
}

export function decode(text: string): Order {
  return (JSON.parse(text) as Envelope).data
}

/** Opens both ends; each call on topics, queues or tables of its own. */
export type OpenEnds = (told: Told) => Promise<Ends>

/** Reads how many microseconds of CPU the server has used so far. */
export type ServerCpu = () => number | Promise<number>

export interface EndsSide extends Side {
  /** One at a time at a fixed rate: milliseconds from the publish call to the handler, of each. */
  paced(options: { readonly perSecond: number; readonly seconds: number }): Promise<number[]>
  close(): Promise<void>
}

/** A side of the benchmark out of two ends: the same load for each. */
export async function openSide(
  name: string,
  options: { readonly open: OpenEnds; readonly load: Load; readonly serverCpu: ServerCpu },
): Promise<EndsSide> {
  const { load, serverCpu } = options
  const orders = makeOrders(load.messages)
  let told: Told | undefined
  let failure: unknown
  const ends = await options.open({
    handling: (order) => told?.handling(order),
    acknowledged: (count) => told?.acknowledged(count),
  })
  return {
    name,
    async round(): Promise<Round> {
      const flow: Flow = createFlow(load, orders)
      told = flow
      const cpuBefore = await serverCpu()
      const round = await timed(load.messages, () => within(60_000, name, flow.run(ends.publish)))
      return { ...round, cpuMicros: round.cpuMicros + (await serverCpu()) - cpuBefore }
    },
    async paced({ perSecond, seconds }) {
      const pace = createPace(perSecond * seconds)
      told = pace
      const begun = performance.now()
      for (let sent = 0; sent < pace.total; ) {
        // What is due is sent one by one, as a service would: nobody hands over a batch at this rate.
        const due = Math.min(pace.total, ((performance.now() - begun) / 1000) * perSecond)
        for (; sent < due; sent += 1) {
          const order = pace.next()
          ends.publish([order]).catch((error: unknown) => {
            failure ??= error
          })
        }
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      await within(30_000, name, pace.finished)
      if (failure !== undefined) throw failure
      return pace.latencies
    },
    close: () => ends.close(),
  }
}

interface Pace extends Told {
  readonly total: number
  readonly latencies: number[]
  readonly finished: Promise<void>
  next(): Order
}

function createPace(total: number): Pace {
  const orders = makeOrders(total)
  const sentAt = new Map<string, number>()
  const latencies: number[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  let at = 0
  let done = 0
  return {
    total,
    latencies,
    finished: promise,
    next() {
      const order = orders[at] as Order
      at += 1
      sentAt.set(order.orderId, performance.now())
      return order
    },
    handling({ orderId }) {
      const since = sentAt.get(orderId)
      if (since === undefined) return
      sentAt.delete(orderId)
      latencies.push(performance.now() - since)
    },
    acknowledged(count) {
      done += count
      if (done >= total) resolve()
    },
  }
}

/** A side that lost a message would hold the bench up for ever. */
async function within<T>(ms: number, name: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} did not finish within ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
