import { delay } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { brokerErrorIds } from './errors.ts'
import { offsetsOf } from './reader.ts'
import { type Wire, withPartErrors } from './wire.ts'

/** What a topic should be. */
export interface TopicWish {
  readonly name: string
  readonly partitions: number
  readonly configs: Readonly<Record<string, string>>
  /** Absent: as the URL says, else as the broker has it. */
  readonly replicas?: number
}

const administrationMs = 8000
const goneMs = 3000
/** Kafka's number of the kind "topic" among things with settings. */
const topicResource = 2
const setConfig = 0
const topicExists = 36

/** Creates topics that are missing, and waits until every one of them can be used. @throws TreatyError */
export async function createTopics(wire: Wire, wishes: readonly TopicWish[]): Promise<void> {
  if (wishes.length === 0) return
  await wire.persist(async () => {
    const server = await wire.controller()
    const topics = wishes.map(({ name, partitions, configs, replicas }) => ({
      name,
      numPartitions: partitions,
      replicationFactor: replicas ?? wire.target.replicas ?? -1,
      assignments: [],
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    }))
    const { api } = wire.driver.createTopicsV7
    const asked = wire.control.call(server, api, topics, administrationMs, false)
    const answer = await withPartErrors(asked)
    const refused = answer.topics.find(
      (each) => each.errorCode !== 0 && each.errorCode !== topicExists,
    )
    if (refused === undefined) return
    const error = new wire.driver.ProtocolError(refused.errorCode)
    const { code } = wire.known(error)
    if (code !== 'TRANSPORT_FAILED') throw error
    throw new TreatyError(
      'TRANSPORT_FAILED',
      `the topic '${refused.name}' could not be created: ${refused.errorMessage ?? error.message}`,
      { details: { topic: refused.name }, cause: error },
    )
  })
  await wire.persist(async () => {
    const names = wishes.map(({ name }) => name)
    const found = await wire.topics(names, true)
    const isReady = (name: string) => {
      const leaders = found.get(name)?.leaders ?? []
      return leaders.length > 0 && !leaders.includes(undefined)
    }
    if (!names.every(isReady)) throw new wire.driver.ProtocolError('LEADER_NOT_AVAILABLE')
  })
  // Whoever told us of the leaders may have heard of them before they did.
  const found = await wire.topics(wishes.map(({ name }) => name))
  await offsetsOf(
    wire,
    [...found.values()].flatMap(({ name: topic, leaders }) =>
      leaders.map((_, partition) => ({ topic, partition })),
    ),
  )
}

/** Settings of topics by their names. */
export async function readConfigs(
  wire: Wire,
  names: readonly string[],
  keys: readonly string[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
  if (names.length === 0) return new Map()
  return wire.persist(async () => {
    const server = await wire.anyServer()
    const resources = names.map((resourceName) => ({
      resourceType: topicResource as never,
      resourceName,
      configurationKeys: [...keys],
    }))
    const { api } = wire.driver.describeConfigsV4
    const answer = await withPartErrors(wire.control.call(server, api, resources, false, false))
    return new Map(
      answer.results.map(({ resourceName, configs }) => [
        resourceName,
        new Map(configs.map(({ name, value }) => [name, value ?? ''])),
      ]),
    )
  })
}

export async function setConfigs(
  wire: Wire,
  name: string,
  configs: Readonly<Record<string, string>>,
): Promise<void> {
  await wire.persist(async () => {
    const resource = {
      resourceType: topicResource as never,
      resourceName: name,
      configs: Object.entries(configs).map(([key, value]) => ({
        name: key,
        configOperation: setConfig as never,
        value,
      })),
    }
    const server = await wire.controller()
    await wire.control.call(server, wire.driver.incrementalAlterConfigsV1.api, [resource], false)
  })
}

/** Deletes topics with their messages; those that are gone already are none of its concern. */
export async function deleteTopics(wire: Wire, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  await wire.persist(async () => {
    const topics = names.map((name) => ({ name }))
    const server = await wire.controller()
    const { api } = wire.driver.deleteTopicsV6
    try {
      await wire.control.call(server, api, topics, administrationMs)
    } catch (error) {
      if (!isOnly(error, 'UNKNOWN_TOPIC_OR_PARTITION')) throw error
    }
  })
  // The servers hear of it one after another.
  const until = wire.clock.monotonic() + goneMs
  while ((await wire.topics(names, true)).size > 0 && wire.clock.monotonic() < until) {
    await delay(wire.clock, 20)
  }
}

/** Deletes consumer groups with their offsets; those that are gone already are none of its concern. */
export async function deleteGroups(wire: Wire, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    await wire.persist(async (isAgain) => {
      const server = await wire.coordinator(id, isAgain)
      try {
        await wire.control.call(server, wire.driver.deleteGroupsV2.api, [id])
      } catch (error) {
        if (!isOnly(error, 'GROUP_ID_NOT_FOUND')) throw error
      }
    })
  }
}

function isOnly(error: unknown, id: string): boolean {
  const ids = brokerErrorIds(error)
  return ids.size === 1 && ids.has(id)
}

/** Lets the broker forget messages before these offsets. */
export async function deleteRecords(
  wire: Wire,
  before: readonly { topic: string; partition: number; offset: number }[],
): Promise<void> {
  const facts = await wire.topics([...new Set(before.map(({ topic }) => topic))])
  for (const { topic, partition, offset } of before) {
    const server = facts.get(topic)?.leaders[partition]
    if (server === undefined) continue
    const topics = [
      { name: topic, partitions: [{ partitionIndex: partition, offset: BigInt(offset) }] },
    ]
    await wire.control.call(server, wire.driver.deleteRecordsV2.api, topics, administrationMs)
  }
}
