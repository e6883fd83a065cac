import { randomUUID } from 'node:crypto'
import { type RmqContext, Transport } from '@nestjs/microservices'
import { connect } from 'amqplib'
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

export async function openBroker(load: Load): Promise<BrokerBench | { readonly reason: string }> {
  const peer = startPeer('rabbitmq')
  if ('reason' in peer) return peer
  const queue = `bench-nest-${randomUUID()}`
  const rmq = { urls: [peer.url], queue, queueOptions: quorum, persistent: true }
  return {
    load,
    serverCpu: serviceCpu('rabbitmq'),
    bar: 0.85,
    sides: {
      treaty: treatyEnds(peer.url, { address: `bench.${randomUUID()}` }),
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
      `rabbitmq: quorum queues on one node, persistent, publisher confirms, prefetch ${prefetch}, an ack each, for all sides`,
    ],
    async close() {
      const connection = await connect(peer.url)
      const channel = await connection.createChannel()
      await channel.deleteQueue(queue)
      await connection.close()
      peer.release()
    },
  }
}
