import { randomUUID } from 'node:crypto'
import { type RmqContext, Transport } from '@nestjs/microservices'
import { connect } from 'amqplib'
import { openTransport } from 'treatyjs'
import type { Load } from '../bus-load.ts'
import { startPeer } from '../peers.ts'
import { serviceCpu } from '../server-cpu.ts'
import type { BrokerBench } from './broker-bench.ts'
import { decode, encode, type OpenEnds } from './ends.ts'
import { nestEnds } from './nest.ts'
import { treatyEnds } from './treaty.ts'

const prefetch = 1000
const quorum = { durable: true, arguments: { 'x-queue-type': 'quorum' } }

/** The client alone: a confirm channel, persistent messages of a call under way at once, one queue, an ack each. */
function bareEnds(url: string): OpenEnds {
  return async (told) => {
    const queue = `bench-${randomUUID()}`
    const connection = await connect(url)
    const [publisher, consumer] = await Promise.all([
      connection.createConfirmChannel(),
      connection.createChannel(),
    ])
    await consumer.assertQueue(queue, quorum)
    await consumer.prefetch(prefetch)
    await consumer.consume(queue, (message) => {
      if (message === null) return
      told.handling(decode(message.content.toString()))
      consumer.ack(message)
      told.acknowledged(1)
    })
    return {
      async publish(orders) {
        for (const order of orders) {
          publisher.sendToQueue(queue, Buffer.from(encode(order)), { persistent: true })
        }
        await publisher.waitForConfirms()
      },
      async close() {
        await consumer.deleteQueue(queue)
        await connection.close()
      },
    }
  }
}

/** Every quorum queue that is left costs the broker memory and a wake-up every five seconds, which later runs would pay for. */
async function removeChannel(url: string, address: string): Promise<void> {
  const transport = await openTransport(url)
  await transport.connect()
  const subscriptions = [{ group: 'bench.orders.billing', address }]
  await transport.remove?.({ subscriptions, groups: [], channels: [address] })
  await transport.close({ drainMs: 0 })
}

export async function openBroker(load: Load): Promise<BrokerBench | { readonly reason: string }> {
  const peer = startPeer('rabbitmq')
  if ('reason' in peer) return peer
  const queue = `bench-nest-${randomUUID()}`
  const address = `bench.${randomUUID()}`
  const rmq = { urls: [peer.url], queue, queueOptions: quorum, persistent: true }
  return {
    load,
    serverCpu: serviceCpu('rabbitmq'),
    bar: 0.85,
    sides: {
      treaty: treatyEnds(peer.url, { address }),
      bare: bareEnds(peer.url),
      nest: nestEnds({
        pattern: 'order.placed',
        server: {
          transport: Transport.RMQ,
          options: { ...rmq, noAck: false, prefetchCount: prefetch },
        },
        client: { transport: Transport.RMQ, options: rmq },
        acknowledge: (context: RmqContext) => context.getChannelRef().ack(context.getMessage()),
      }),
    },
    notes: [
      `rabbitmq: quorum queues on one node, persistent, publisher confirms, prefetch ${prefetch}; the bare client and NestJS: one queue, an ack each`,
      'rabbitmq: at each new write-ahead log, every 512 MB, the broker can stand still for a second or more, for every client; a p99 far above its p50 may be that',
    ],
    async close() {
      const connection = await connect(peer.url)
      const channel = await connection.createChannel()
      await channel.deleteQueue(queue)
      await connection.close()
      await removeChannel(peer.url, address)
      peer.release()
    },
  }
}
