import { join } from 'node:path'
import { bareSide } from './bus-bare.ts'
import { bullmqSide } from './bus-bullmq.ts'
import type { Load } from './bus-load.ts'
import { type OpenedSide, treatySide } from './bus-treaty.ts'
import { type BenchOptions, measureSides } from './measure.ts'
import { messageBytes } from './orders.ts'
import { type Peer, scratchFolder, startPeer } from './peers.ts'
import { atLeast, type Bar, type Report, type Row } from './report.ts'

const treatyName = 'Treaty, embedded bus'
const bareName = 'bare node:sqlite, pipelined'
const bullName = 'BullMQ on Redis'
/** Its best depends on the machine; the bar is against the faster. */
const bullConcurrencies = [100, 500]
/** Enough by itself on two quiet cores, whatever the floor is there. */
const rateEnough = 30_000

/** The embedded bus from publish to acknowledgement, against the bare database and against BullMQ on Redis. */
export async function bench(options: BenchOptions): Promise<Report> {
  const scratch = scratchFolder()
  const redis = startPeer('redis')
  const sides: OpenedSide[] = []
  const load: Load = { messages: options.isSmoke ? 2000 : 60_000, batch: 500, window: 4000 }
  try {
    const at = (name: string) => join(scratch.path, name)
    sides.push(
      await treatySide(treatyName, { file: at('bus.db'), load }),
      await treatySide(`${treatyName}, keyed`, { file: at('keyed.db'), load, key: 'customer.id' }),
      bareSide(bareName, { file: at('bare.db'), load, isPipelined: true }),
      bareSide('bare node:sqlite, a transaction each', {
        file: at('bare-2.db'),
        load,
        isPipelined: false,
      }),
    )
    if ('url' in redis) {
      // Fewer, since it is slower and a round should not take all day; the rate is what counts.
      const fewer = { ...load, messages: Math.ceil(load.messages / 4) }
      for (const concurrency of bullConcurrencies) {
        const name = `${bullName}, concurrency ${concurrency}`
        sides.push(await bullmqSide(name, { url: redis.url, load: fewer, concurrency }))
      }
    }
    const rows = await measureSides(sides, { rounds: options.rounds, reference: bareName })
    return { bench: 'bus', rows, bars: barsOf(rows), notes: notesOf(load, redis) }
  } finally {
    for (const side of sides) await side.close()
    if ('url' in redis) redis.release()
    scratch.remove()
  }
}

function barsOf(rows: readonly Row[]): Bar[] {
  const find = (name: string) => rows.find((row) => row.name === name)
  const treaty = find(treatyName)
  const bullRates = rows.filter(({ name }) => name.startsWith(bullName)).map(({ rate }) => rate)
  const floor = atLeast(
    `${treatyName} ÷ ${bareName} (or ${rateEnough} a second)`,
    0.5,
    treaty?.ratio ?? null,
  )
  const times = treaty && bullRates.length > 0 ? treaty.rate / Math.max(...bullRates) : null
  return [
    { ...floor, met: floor.met || (treaty?.rate ?? 0) >= rateEnough },
    atLeast(`${treatyName} ÷ ${bullName}`, 3, times),
  ]
}

function notesOf(load: Load, redis: Peer | { readonly reason: string }): string[] {
  return [
    `messages of ${messageBytes} B; batches of ${load.batch}, at most ${load.window} published and not acknowledged; p99 from the publish call to the handler in this full stream`,
    'Treaty: durability full (WAL, synchronous FULL), publishMany, 1000 handlers, validated on both ends, one process',
    'bare: the same pragmas and batches, insert and delete by key, nothing else',
    'url' in redis
      ? `BullMQ: addBulk, auto-pipelining, removeOnComplete; Redis with appendonly yes, appendfsync always; CPU with the server's; nothing validated`
      : `BullMQ skipped: no Redis (${redis.reason})`,
  ]
}
