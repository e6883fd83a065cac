import { randomUUID } from 'node:crypto'
import { Transport } from '@nestjs/microservices'
import { Redis } from 'ioredis'
import type { Load } from '../bus-load.ts'
import { startPeer } from '../peers.ts'
import { serviceCpu } from '../server-cpu.ts'
import type { BrokerBench } from './broker-bench.ts'
import { decode, encode, type OpenEnds } from './ends.ts'
import { nestEnds } from './nest.ts'
import { treatyEnds } from './treaty.ts'

type Entries = [stream: string, entries: [id: string, fields: string[]][]][] | null

/** The client alone: a pipeline of XADD for each call; XREADGROUP of 500, then XACK and XDEL of them all. */
function bareEnds(url: string): OpenEnds {
  return async (told) => {
    const stream = `bench:${randomUUID()}`
    const [publisher, reader, acker] = [new Redis(url), new Redis(url), new Redis(url)]
    await publisher.xgroup('CREATE', stream, 'billing', '0', 'MKSTREAM')
    let isOver = false
    const loop = async () => {
      while (!isOver) {
        const read = (await reader.xreadgroup(
          'GROUP',
          'billing',
          'one',
          'COUNT',
          500,
          'BLOCK',
          200,
          'STREAMS',
          stream,
          '>',
        )) as Entries
        const entries = read?.[0]?.[1] ?? []
        if (entries.length === 0) continue
        for (const [, fields] of entries) told.handling(decode(fields[3] ?? ''))
        const ids = entries.map(([id]) => id)
        void acker
          .pipeline()
          .xack(stream, 'billing', ...ids)
          .xdel(stream, ...ids)
          .exec()
          .then(() => told.acknowledged(ids.length))
      }
    }
    const looping = loop()
    return {
      async publish(orders) {
        const pipeline = publisher.pipeline()
        for (const order of orders) {
          pipeline.xadd(stream, '*', 'key', order.customer.id, 'body', encode(order))
        }
        await pipeline.exec()
      },
      async close() {
        isOver = true
        await looping
        await publisher.del(stream)
        for (const redis of [publisher, reader, acker]) redis.disconnect()
      },
    }
  }
}

export async function openBroker(load: Load): Promise<BrokerBench | { readonly reason: string }> {
  const peer = startPeer('redis')
  if ('reason' in peer) return peer
  const { hostname: host, port } = new URL(peer.url)
  const options = { host, port: Number(port) }
  return {
    load,
    serverCpu: serviceCpu('redis'),
    bar: 0.7,
    sides: {
      treaty: treatyEnds(peer.url, { address: `bench.${randomUUID()}` }),
      bare: bareEnds(peer.url),
      nest: nestEnds({
        pattern: `bench-nest-${randomUUID()}`,
        server: { transport: Transport.REDIS, options },
        client: { transport: Transport.REDIS, options },
      }),
    },
    notes: [
      'redis: appendonly yes, appendfsync always; bare: pipelines of 500 XADD, XREADGROUP of 500, XACK and XDEL; NestJS has only PUBLISH and SUBSCRIBE: nothing is stored, nothing acknowledged, and a crash loses what is under way',
    ],
    async close() {
      peer.release()
    },
  }
}
