import { TreatyError } from '../../../core/errors.ts'
import { laneOf } from '../../lanes/share.ts'
import type { OutgoingRecord, PublishResult } from '../../transport.ts'
import { encodeMessage } from './message-tail.ts'
import { positionOf, topicOf } from './names.ts'
import type { AppendResult, Encoded, Producer } from './producer.ts'
import { TailWriter } from './record-tail.ts'
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
  const writer = new TailWriter()
  let turn = 0

  function partitionOf({ key }: OutgoingRecord, { lanes, isOneLane }: Route): number {
    if (isOneLane) return 0
    if (key !== undefined) return laneOf(key, lanes)
    turn = (turn + 1) % 2 ** 31
    return turn % lanes
  }

  return {
    async publish(records) {
      const routes = await routesOf(options, records)
      const results: (PublishResult | undefined)[] = new Array(records.length).fill(undefined)
      const sent: Encoded[] = []
      const places: number[] = []
      for (let at = 0; at < records.length; at += 1) {
        const record = records[at] as OutgoingRecord
        const route = routes.get(record.address)
        if (record.body.byteLength > messageBytesMax) {
          results[at] = { error: tooLarge(record, messageBytesMax) }
        } else if (route === undefined) results[at] = { error: noChannel(record.address) }
        else {
          const partition = partitionOf(record, route)
          sent.push({ topic: route.topic, partition, tail: encodeMessage(writer, record) })
          places.push(at)
        }
      }
      const taken = await producer.append(sent)
      for (let index = 0; index < sent.length; index += 1) {
        const at = places[index] as number
        const result = taken[index] as AppendResult
        if (typeof result !== 'number') results[at] = { error: result }
        else {
          const position = positionOf((sent[index] as Encoded).partition, Math.max(0, result))
          results[at] = { id: (records[at] as OutgoingRecord).id, position }
        }
      }
      return results as PublishResult[]
    },
  }
}

async function routesOf(
  options: PublisherOptions,
  records: readonly OutgoingRecord[],
): Promise<ReadonlyMap<string, Route>> {
  const { registry, wire } = options
  const routes = new Map<string, Route>()
  const unknown = new Set<string>()
  for (const { address } of records) {
    if (routes.has(address) || unknown.has(address)) continue
    const route = knownRoute(registry, address)
    if (route === undefined) unknown.add(address)
    else routes.set(address, route)
  }
  if (unknown.size === 0) return routes
  await registry.refresh()
  for (const address of unknown) {
    const topic = topicOf(address, wire.target.prefix)
    const known = knownRoute(registry, address)
    // A topic that others made, and no contract of ours has ensured here.
    const lanes = known?.lanes ?? (await wire.topics([topic])).get(topic)?.leaders.length
    if (known !== undefined) routes.set(address, known)
    else if (lanes !== undefined) routes.set(address, { topic, lanes, isOneLane: lanes === 1 })
  }
  return routes
}

function knownRoute(registry: Registry, address: string): Route | undefined {
  const known = registry.channel(address)
  if (known === undefined) return undefined
  const { topic, lanes, ordering } = known
  return { topic, lanes, isOneLane: ordering === 'per-channel' || lanes === 1 }
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
