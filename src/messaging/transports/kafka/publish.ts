import { TreatyError } from '../../../core/errors.ts'
import { laneOf } from '../../lanes/share.ts'
import type { OutgoingRecord, PublishResult } from '../../transport.ts'
import { headersOf, keyOf } from './messages.ts'
import { positionOf, topicOf } from './names.ts'
import type { Appended, Producer } from './producer.ts'
import type { Registry } from './registry.ts'
import type { Wire } from './wire.ts'

export interface Publisher {
  publish(records: readonly OutgoingRecord[]): Promise<PublishResult[]>
}

export interface PublisherOptions {
  readonly wire: Wire
  readonly producer: Producer
  readonly registry: Registry
  readonly messageBytesMax: number
}

/** Where the messages of an address go. */
interface Route {
  readonly topic: string
  readonly lanes: number
  readonly isOneLane: boolean
}

/** Sends messages to the lane of their key; those without one go round the lanes in turn. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { producer, messageBytesMax } = options
  let turn = 0

  function appended(record: OutgoingRecord, route: Route): Appended {
    const { topic, lanes, isOneLane } = route
    if (!isOneLane && record.key === undefined) turn = (turn + 1) % 2 ** 31
    const partition = isOneLane
      ? 0
      : record.key === undefined
        ? turn % lanes
        : laneOf(record.key, lanes)
    const { body } = record
    const value = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    return { topic, partition, ...keyOf(record), value, headers: headersOf(record) }
  }

  return {
    async publish(records) {
      const addresses = [...new Set(records.map(({ address }) => address))]
      const routes = await routesOf(options, addresses)
      const results: (PublishResult | undefined)[] = records.map((record) => {
        if (record.body.byteLength > messageBytesMax) {
          return { error: tooLarge(record, messageBytesMax) }
        }
        const route = routes.get(record.address)
        return route === undefined ? { error: noChannel(record.address) } : undefined
      })
      const sent = records.flatMap((record, at) => {
        const route = routes.get(record.address)
        return results[at] === undefined && route !== undefined
          ? [{ at, record, appended: appended(record, route) }]
          : []
      })
      const taken = await producer.append(sent.map((each) => each.appended))
      for (const [index, { at, record, appended: at2 }] of sent.entries()) {
        const result = taken[index]
        if (result === undefined) continue
        results[at] =
          'error' in result
            ? result
            : { id: record.id, position: positionOf(at2.partition, Math.max(0, result.offset)) }
      }
      return results as PublishResult[]
    },
  }
}

async function routesOf(
  { registry, wire }: PublisherOptions,
  addresses: readonly string[],
): Promise<ReadonlyMap<string, Route>> {
  const routes = new Map<string, Route>()
  if (addresses.some((address) => registry.channel(address) === undefined)) await registry.refresh()
  for (const address of addresses) {
    const known = registry.channel(address)
    if (known !== undefined) {
      const isOneLane = known.ordering === 'per-channel' || known.lanes === 1
      routes.set(address, { topic: known.topic, lanes: known.lanes, isOneLane })
      continue
    }
    // A topic that others made, and no contract of ours has ensured here.
    const topic = topicOf(address, wire.target.prefix)
    const lanes = (await wire.topics([topic])).get(topic)?.leaders.length
    if (lanes !== undefined) routes.set(address, { topic, lanes, isOneLane: lanes === 1 })
  }
  return routes
}

function noChannel(address: string): TreatyError {
  return new TreatyError('CHANNEL_NOT_FOUND', `the channel '${address}' is not there`, {
    hint: 'Start a process whose contract names the channel with topology: create.',
    details: { address },
  })
}

function tooLarge(record: OutgoingRecord, messageBytesMax: number): TreatyError {
  const bytes = record.body.byteLength
  return new TreatyError(
    'MESSAGE_TOO_LARGE',
    `the message '${record.id}' has ${bytes} bytes, and ${messageBytesMax} are allowed`,
    {
      hint: 'Send a reference to the content instead, or raise messageBytesMax and max.message.bytes of the topic.',
      details: { bytes, messageBytesMax },
    },
  )
}
