import { randomUUID } from 'node:crypto'
import { Transport } from '@nestjs/microservices'
import {
  Admin,
  Consumer,
  MessagesStreamModes,
  ProduceAcks,
  Producer,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'
import type { Load } from '../bus-load.ts'
import { startPeer } from '../peers.ts'
import { serviceCpu } from '../server-cpu.ts'
import type { BrokerBench } from './broker-bench.ts'
import { decode, encode, envelopeOf, type OpenEnds } from './ends.ts'
import { nestEnds } from './nest.ts'
import { treatyEnds } from './treaty.ts'

const partitions = 12
/** Milliseconds between two commits of offsets. */
const commitMs = 50

async function createTopic(broker: string, topic: string): Promise<void> {
  const admin = new Admin({ clientId: 'bench', bootstrapBrokers: [broker] })
  await admin.createTopics({ topics: [topic], partitions, replicas: 1 })
  await admin.close()
}

/** The driver alone: idempotent, acks of all replicas, a batch in one request; a stream whose offsets are committed every 50 ms. */
function bareEnds(broker: string): OpenEnds {
  return async (told) => {
    const topic = `bench-bare-${randomUUID()}`
    await createTopic(broker, topic)
    const common = { clientId: 'bench', bootstrapBrokers: [broker] }
    const producer = new Producer({
      ...common,
      idempotent: true,
      acks: ProduceAcks.ALL,
      serializers: stringSerializers,
    })
    const consumer = new Consumer({
      ...common,
      groupId: topic,
      deserializers: stringDeserializers,
      sessionTimeout: 6000,
      rebalanceTimeout: 10_000,
      heartbeatInterval: 1000,
    })
    const stream = await consumer.consume({
      topics: [topic],
      mode: MessagesStreamModes.EARLIEST,
      autocommit: commitMs,
      maxWaitTime: 20,
    })
    stream.on('data', ({ value }) => {
      told.handling(decode(value ?? ''))
      told.acknowledged(1)
    })
    return {
      publish: (orders) =>
        producer.send({
          messages: orders.map((order) => ({
            topic,
            key: order.customer.id,
            value: encode(order),
          })),
        }),
      async close() {
        await stream.close()
        await consumer.close(true)
        await producer.close()
      },
    }
  }
}

export async function openBroker(load: Load): Promise<BrokerBench | { readonly reason: string }> {
  const peer = startPeer('kafka')
  if ('reason' in peer) return peer
  const broker = new URL(peer.url).host
  const topic = `bench-nest-${randomUUID()}`
  await createTopic(broker, topic)
  const client = { clientId: 'bench', brokers: [broker], logLevel: 1 }
  return {
    load,
    serverCpu: serviceCpu('kafka'),
    bar: 0.85,
    sides: {
      treaty: treatyEnds(peer.url, {
        address: `bench.${randomUUID()}`,
        bindings: { kafka: { partitions } },
      }),
      bare: bareEnds(broker),
      nest: nestEnds({
        pattern: topic,
        wrap: (order) => ({ key: order.customer.id, value: envelopeOf(order) }),
        server: {
          transport: Transport.KAFKA,
          options: {
            client,
            consumer: { groupId: topic, sessionTimeout: 6000, maxWaitTimeInMs: 20 },
            subscribe: { fromBeginning: true },
            run: { autoCommitInterval: commitMs, partitionsConsumedConcurrently: partitions },
          },
        },
        client: {
          transport: Transport.KAFKA,
          options: {
            client,
            producerOnlyMode: true,
            producer: { idempotent: true, maxInFlightRequests: 5 },
            send: { acks: -1 },
          },
        },
      }),
    },
    notes: [
      `kafka: one broker, ${partitions} partitions, idempotent producers, acks of all, offsets committed each ${commitMs} ms, syncs as the broker has them, the same for all; NestJS (kafkajs) emits message by message, 500 at a time`,
    ],
    async close() {
      peer.release()
    },
  }
}
