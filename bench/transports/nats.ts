import { randomUUID } from 'node:crypto'
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { Transport } from '@nestjs/microservices'
import type { Load } from '../bus-load.ts'
import type { Order } from '../orders.ts'
import { startPeer } from '../peers.ts'
import { serviceCpu } from '../server-cpu.ts'
import type { BrokerBench } from './broker-bench.ts'
import { type Envelope, encode, type OpenEnds } from './ends.ts'
import { nestEnds } from './nest.ts'
import { treatyEnds } from './treaty.ts'

/** The client alone: the messages of a call in one atomic batch (or all under way at once), a durable pull consumer that acks each. */
function bareEnds(server: string, options: { readonly isBatched: boolean }): OpenEnds {
  return async (told) => {
    const name = `bench-${randomUUID()}`
    const connection = await connect({ servers: server })
    const manager = await jetstreamManager(connection)
    const subject = (order: Order) => `${name}.${order.customer.id}`
    await manager.streams.add({ name, subjects: [`${name}.>`], allow_atomic: true })
    await manager.consumers.add(name, {
      durable_name: 'billing',
      ack_policy: AckPolicy.Explicit,
      max_ack_pending: 5000,
    })
    const js = jetstream(connection)
    const consumer = await js.consumers.get(name, 'billing')
    const messages = await consumer.consume({ max_messages: 2000 })
    const consuming = (async () => {
      for await (const message of messages) {
        told.handling(message.json<Envelope>().data)
        message.ack()
        told.acknowledged(1)
      }
    })()
    const publishBatch = async (orders: readonly Order[]) => {
      const last = orders.length - 1
      const batch = randomUUID()
      for (const [at, order] of orders.entries()) {
        const isLast = at === last
        const headers = await batchHeaders(batch, at + 1, isLast)
        if (!isLast) connection.publish(subject(order), encode(order), { headers })
        else {
          const reply = await connection.request(subject(order), encode(order), {
            headers,
            timeout: 10_000,
          })
          const answer = reply.json<{ error?: { description: string } }>()
          if (answer.error !== undefined) throw new Error(answer.error.description)
        }
      }
    }
    const publishEach = (orders: readonly Order[]) =>
      Promise.all(orders.map((order) => js.publish(subject(order), encode(order))))
    return {
      publish: (orders) =>
        options.isBatched && orders.length > 1 ? publishBatch(orders) : publishEach(orders),
      async close() {
        await messages.close()
        await consuming
        await manager.streams.delete(name)
        await connection.close()
      },
    }
  }
}

async function batchHeaders(batch: string, sequence: number, isLast: boolean) {
  const { headers } = await import('@nats-io/transport-node')
  const made = headers()
  made.set('Nats-Batch-Id', batch)
  made.set('Nats-Batch-Sequence', String(sequence))
  if (isLast) made.set('Nats-Batch-Commit', '1')
  return made
}

export async function openBroker(load: Load): Promise<BrokerBench | { readonly reason: string }> {
  const peer = startPeer('nats')
  if ('reason' in peer) return peer
  const servers = peer.url
  const pattern = `bench-nest-${randomUUID()}`
  return {
    load,
    serverCpu: serviceCpu('nats'),
    bar: 0.85,
    sides: {
      treaty: treatyEnds(servers, { address: `bench.${randomUUID()}` }),
      bare: bareEnds(servers, { isBatched: true }),
      nest: nestEnds({
        pattern,
        server: { transport: Transport.NATS, options: { servers } },
        client: { transport: Transport.NATS, options: { servers } },
      }),
      others: { 'client, an ack for each publish': bareEnds(servers, { isBatched: false }) },
    },
    notes: [
      'nats: sync_interval always; bare: atomic batches of 500, a durable pull consumer, an ack each; NestJS has no JetStream: core NATS, nothing is stored, nothing acknowledged, and a crash loses what is under way',
    ],
    async close() {
      peer.release()
    },
  }
}
