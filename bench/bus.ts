import { join } from 'node:path'
import { bareSide } from './bus-bare.ts'
import { bullmqSide } from './bus-bullmq.ts'
import { graphileSide } from './bus-graphile.ts'
import type { Load } from './bus-load.ts'
import { pgBossSide } from './bus-pgboss.ts'
import { type OpenedSide, treatySide } from './bus-treaty.ts'
import { type BenchOptions, measureSides } from './measure.ts'
import { messageBytes } from './orders.ts'
import { type Peer, scratchFolder, startPeer } from './peers.ts'
import { atLeast, type Bar, type Report, type Row } from './report.ts'

const treatyName = 'Treaty, embedded bus'
const bareName = 'bare node:sqlite, pipelined'
const bullName = 'BullMQ on Redis'
const bossName = 'pg-boss on PostgreSQL'
const graphileName = 'graphile-worker on PostgreSQL'
/** The best of each depends on the machine; the bar is against the faster. */
const bullConcurrencies = [100, 500]
const bossSettings = [
  { batchSize: 500, workers: 2 },
  { batchSize: 1000, workers: 1 },
]
const graphileConcurrencies = [10, 30]
/** Enough by itself on two quiet cores, whatever the floor is there. */
const rateEnough = 30_000

/** The embedded bus from publish to acknowledgement, against the bare database and against BullMQ on Redis. */
export async function bench(options: BenchOptions): Promise<Report> {
  const scratch = scratchFolder()
  const redis = startPeer('redis')
  const postgres = startPeer('postgres')
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
    if ('url' in postgres) {
      sides.push(...(await postgresSides(postgres.url, load)))
    }
    const rows = await measureSides(sides, { rounds: options.rounds, reference: bareName })
    return { bench: 'bus', rows, bars: barsOf(rows), notes: notesOf(load, redis, postgres) }
  } finally {
    for (const side of sides) await side.close()
    for (const peer of [redis, postgres]) if ('url' in peer) peer.release()
    scratch.remove()
  }
}

async function postgresSides(server: string, load: Load): Promise<OpenedSide[]> {
  const sides: OpenedSide[] = []
  for (const { batchSize, workers } of bossSettings) {
    const name = `${bossName}, ${workers} × ${batchSize}`
    const fewer = { ...load, messages: Math.ceil(load.messages / 6) }
    sides.push(await pgBossSide(name, { server, load: fewer, batchSize, workers }))
  }
  for (const concurrency of graphileConcurrencies) {
    const name = `${graphileName}, concurrency ${concurrency}`
    const fewer = { ...load, messages: Math.ceil(load.messages / 15) }
    sides.push(await graphileSide(name, { server, load: fewer, concurrency }))
  }
  return sides
}

function barsOf(rows: readonly Row[]): Bar[] {
  const find = (name: string) => rows.find((row) => row.name === name)
  const treaty = find(treatyName)
  const timesOf = (peer: string) => {
    const rates = rows.filter(({ name }) => name.startsWith(peer)).map(({ rate }) => rate)
    return treaty && rates.length > 0 ? treaty.rate / Math.max(...rates) : null
  }
  const floor = atLeast(
    `${treatyName} ÷ ${bareName} (or ${rateEnough} a second)`,
    0.5,
    treaty?.ratio ?? null,
  )
  return [
    { ...floor, met: floor.met || (treaty?.rate ?? 0) >= rateEnough },
    ...[bullName, bossName, graphileName].map((peer) =>
      atLeast(`${treatyName} ÷ ${peer}`, 3, timesOf(peer)),
    ),
  ]
}

function notesOf(
  load: Load,
  redis: Peer | { readonly reason: string },
  postgres: Peer | { readonly reason: string },
): string[] {
  return [
    `messages of ${messageBytes} B; batches of ${load.batch}, at most ${load.window} published and not acknowledged; p99 from the publish call to the handler in this full stream`,
    'Treaty: durability full (WAL, synchronous FULL), publishMany, 1000 handlers, validated on both ends, one process',
    'bare: the same pragmas and batches, insert and delete by key, nothing else',
    'url' in redis
      ? `BullMQ: addBulk, auto-pipelining, removeOnComplete; Redis with appendonly yes, appendfsync always; CPU with the server's; nothing validated`
      : `BullMQ skipped: no Redis (${redis.reason})`,
    ...('reason' in postgres
      ? [`pg-boss and graphile-worker skipped: no PostgreSQL (${postgres.reason})`]
      : [
          `PostgreSQL: fsync and synchronous_commit on; CPU with that of its connections; nothing validated`,
          'pg-boss: insert of 500, workers × batchSize as named, burstWhenBatchFull, NOTIFY',
          'graphile-worker 0.16: add_jobs of 500, concurrency as named and as many connections, NOTIFY; a local queue and batched completion come with 0.17, which is not released',
        ]),
  ]
}
