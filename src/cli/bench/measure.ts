import type { Contract } from '../../contracts/index.ts'
import { defineContract } from '../../contracts/index.ts'
import { type Clock, delay } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Bus } from '../../messaging/index.ts'
import { type Bucket, type Distribution, distributionOf, histogramOf } from './quantiles.ts'

export interface BenchPlan {
  /** Part of every name on the broker; nobody else uses it. */
  readonly name: string
  readonly seconds: number
  /** Bytes of text in the data of a message. */
  readonly size: number
  /** 0: without keys. */
  readonly keys: number
}
/** One message at a time: what each of them takes. */
export interface LatencyMeasurement {
  /** Until the broker's durable acknowledgement. */
  readonly publishMs: Distribution
  /** From the call of publish to the handler. */
  readonly endToEndMs: Distribution
  /** Of the end-to-end latencies. */
  readonly histogram: readonly Bucket[]
}
/** So many messages in one call, call after call. */
export interface ThroughputMeasurement {
  readonly batch: number
  readonly messages: number
  /** Published and handled in the time that both took. */
  readonly perSecond: number
  readonly endToEndMs: Distribution
}

const event = 'bench.measured'
const consumer = 'meter'
/** Milliseconds until a message that was published is given up. */
const patienceMs = 30_000
/** Messages under way at most, so that the latency is the broker's and not a queue's. */
const underWayMax = 2000

/** A contract that only this measurement knows. */
export function benchContract({ name, keys }: BenchPlan): Contract {
  return defineContract({
    id: `bench.${name}`,
    version: '1.0.0',
    purpose: 'Measures a broker; made up by treaty bench and taken away afterwards.',
    channels: {
      messages: {
        address: `treaty.bench.${name}`,
        ...(keys > 0 ? { key: 'key', ordering: 'per-key' } : { ordering: 'none' }),
      },
    },
    events: {
      [event]: {
        channel: 'messages',
        purpose: 'One message of the measurement.',
        schema: {
          type: 'object',
          required: ['number', 'key', 'text'],
          properties: {
            number: { type: 'integer', minimum: 0 },
            key: { type: 'string' },
            text: { type: 'string' },
          },
        },
      },
    },
    producers: { bench: {} },
    consumers: {
      [consumer]: {
        accepts: '^1.0.0',
        events: { [event]: { needs: ['number', 'key', 'text'] } },
        retry: { attempts: 3, base: '100ms', factor: 2, cap: '1s', jitter: 'none' },
      },
    },
  }) as unknown as Contract
}

/** The two ends of a measurement on an open bus. */
export interface Meter {
  latency(): Promise<LatencyMeasurement>
  throughput(batch: number): Promise<ThroughputMeasurement>
  stop(): Promise<void>
}

/** @throws BENCH_LOST when a message that was confirmed does not arrive */
export async function createMeter(
  bus: Bus,
  plan: BenchPlan,
  given: { readonly clock: Clock; readonly stopping: AbortSignal },
): Promise<Meter> {
  const { clock, stopping } = given
  const text = 'x'.repeat(plan.size)
  const begun = new Map<number, number>()
  let latencies: number[] = []
  let next = 0
  let onHandled: (() => void) | undefined
  const subscription = await bus.consume(
    consumer,
    {
      [event]: (message) => {
        const { number } = message.data as { number: number }
        const at = begun.get(number)
        // A repeat was measured when it came first.
        if (at === undefined) return
        begun.delete(number)
        latencies.push(clock.monotonic() - at)
        onHandled?.()
      },
    },
    { concurrency: 64, prefetch: 1000 },
  )
  while (!subscription.isReady && !stopping.aborted) await delay(clock, 5)

  const dataOf = () => {
    const number = next++
    begun.set(number, clock.monotonic())
    return { number, key: `k${number % Math.max(1, plan.keys)}`, text }
  }
  const until = async (isEnough: () => boolean) => {
    const limit = clock.monotonic() + patienceMs
    while (!isEnough() && !stopping.aborted) {
      const left = limit - clock.monotonic()
      if (left <= 0) throw lost(begun.size)
      const pause = new AbortController()
      onHandled = () => isEnough() && pause.abort()
      await delay(clock, Math.min(left, 1000), pause.signal).catch(() => undefined)
    }
    onHandled = undefined
  }
  const endsAt = () => clock.monotonic() + plan.seconds * 1000

  return {
    async latency() {
      latencies = []
      const published: number[] = []
      for (const end = endsAt(); clock.monotonic() < end && !stopping.aborted; ) {
        const at = clock.monotonic()
        await bus.publish(event, dataOf())
        published.push(clock.monotonic() - at)
        await until(() => begun.size === 0)
      }
      return {
        publishMs: distributionOf(published),
        endToEndMs: distributionOf(latencies),
        histogram: latencies.length === 0 ? [] : histogramOf(latencies),
      }
    },
    async throughput(batch) {
      latencies = []
      const at = clock.monotonic()
      let messages = 0
      for (const end = endsAt(); clock.monotonic() < end && !stopping.aborted; ) {
        const results = await bus.publishMany(
          Array.from({ length: batch }, () => ({ event, data: dataOf() })),
        )
        for (const result of results) if ('error' in result) throw result.error
        messages += batch
        await until(() => begun.size <= underWayMax)
      }
      await until(() => begun.size === 0)
      const perSecond = Math.round((messages / (clock.monotonic() - at)) * 1000)
      return { batch, messages, perSecond, endToEndMs: distributionOf(latencies) }
    },
    stop: () => subscription.stop({ drainMs: 1000 }),
  }
}

function lost(count: number): TreatyError {
  return new TreatyError(
    'BENCH_LOST',
    `${count} ${count === 1 ? 'message was' : 'messages were'} confirmed and did not arrive within ${patienceMs} ms`,
    { hint: 'Look whether the broker is well; run treaty doctor.', details: { count } },
  )
}
