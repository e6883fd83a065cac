import { type CompactedTopic, followCompacted } from './compacted.ts'
import { decodeState, encodeState, type LaneState } from './lane-state.ts'
import { createMeter, type Meter } from './meter.ts'
import { laneName, type Place } from './names.ts'
import type { Producer } from './producer.ts'
import { compactedConfigs } from './registry.ts'
import { createTopics } from './topics.ts'
import { type Line, type Wire, withPartErrors } from './wire.ts'

/** A group's position in one partition, as the coordinator has it. */
interface CommittedOffset extends Place {
  readonly offset: number
  readonly metadata: string | null
}
export interface LaneCommit extends Place {
  readonly state: LaneState
}
export type CommitCodes = ReadonlyMap<string, number>

/**
 * The states of lanes: in the metadata of the committed offset, where Kafka's own fence guards them. One that is too long for that lies in a compacted topic,
 * and the metadata say where. The same topic keeps a copy for the time when Kafka forgets the offsets of a group that was empty for
 * long (offsets.retention.minutes), and the counts of the meter.
 */
export interface States {
  readonly meter: Meter
  create(): Promise<void>
  refresh(): Promise<boolean>
  /** The states of a group in partitions, by lane name; absent: it has never been there. */
  read(group: GroupId, places: readonly Place[]): Promise<ReadonlyMap<string, LaneState>>
  /** The same for many groups at once. */
  readMany(
    asked: readonly { readonly group: GroupId; readonly places: readonly Place[] }[],
  ): Promise<ReadonlyMap<string, ReadonlyMap<string, LaneState>>>
  /** Commits under the ticket; the code of Kafka's for each lane. Rejects when nothing is known. */
  commit(
    group: GroupId,
    ticket: { readonly memberId: string; readonly generation: number },
    commits: readonly LaneCommit[],
  ): Promise<CommitCodes>
  /** Writes down copies that outlive the committed offsets. */
  copy(group: GroupId, commits: readonly LaneCommit[]): Promise<void>
  /** Takes a group's copies away. */
  forget(group: GroupId, places: readonly Place[]): Promise<void>
  /** Takes the counts of partitions away. */
  forgetCounts(places: readonly Place[]): Promise<void>
}
export interface GroupId {
  readonly name: string
  readonly groupId: string
}

/** Bytes of metadata, of the 4096 that offset.metadata.max.bytes allows by default. */
const metadataBytesMax = 4000
const metadataTooLarge = 12

/** Metadata that say where the state is. */
interface Elsewhere {
  readonly v: 2
  readonly at: number
  readonly by: string
}
/** A state in the topic. */
interface Copy {
  readonly by: string
  readonly low: number
  readonly state: string
}

export function createStates(options: {
  readonly wire: Wire
  /** Commits. */
  readonly line: Line
  /** Looking things up. */
  readonly lookup: Line
  readonly producer: Producer
}): States {
  return new LaneStates(options)
}

class LaneStates implements States {
  readonly meter: Meter
  readonly #wire: Wire
  readonly #line: Line
  readonly #log: CompactedTopic
  readonly #copies = new Map<string, Copy>()
  #metadataMax = metadataBytesMax

  constructor(options: { wire: Wire; line: Line; lookup: Line; producer: Producer }) {
    const { wire, line, lookup, producer } = options
    this.#wire = wire
    this.#line = line
    this.meter = createMeter({ wire, line: lookup, states: () => this.#log })
    this.#log = followCompacted({
      wire,
      line: lookup,
      producer,
      topic: `${wire.target.prefix}treaty.state`,
      take: ({ key, value }) => this.#take(key?.toString() ?? '', value),
    })
  }

  #take(key: string, value: Buffer | null): void {
    this.meter.take(key, value)
    if (!key.startsWith('lane:')) return
    if (value === null) this.#copies.delete(key)
    else this.#copies.set(key, JSON.parse(value.toString()) as Copy)
  }

  async create(): Promise<void> {
    const { topic } = this.#log
    await createTopics(this.#wire, [{ name: topic, partitions: 1, configs: compactedConfigs }])
  }

  refresh(): Promise<boolean> {
    return this.#log.refresh()
  }

  async read(group: GroupId, places: readonly Place[]): Promise<ReadonlyMap<string, LaneState>> {
    const found = await this.readMany([{ group, places }])
    return found.get(group.name) ?? new Map()
  }

  async readMany(asked: readonly { group: GroupId; places: readonly Place[] }[]) {
    const states = new Map<string, ReadonlyMap<string, LaneState>>()
    let isRead = false
    for (const { group, places } of asked) {
      const own = new Map<string, LaneState>()
      const offsets = await this.#committed(group.groupId, places)
      for (const place of places) {
        const name = laneName(place)
        const committed = offsets.get(name)
        const isPlain = committed !== undefined && elsewhereOf(committed.metadata) === undefined
        if (!isPlain && !isRead) isRead = (await this.#log.refresh()) || true
        const state = await this.#stateOf(`lane:${group.name}:${name}`, committed)
        if (state !== undefined) own.set(name, state)
      }
      states.set(group.name, own)
    }
    return states
  }

  async #stateOf(
    key: string,
    committed: CommittedOffset | undefined,
  ): Promise<LaneState | undefined> {
    const copy = this.#copies.get(key)
    // The group was empty for so long that Kafka has forgotten where it stood.
    if (committed === undefined) return copy && decodeState(copy.low, copy.state)
    const elsewhere = elsewhereOf(committed.metadata)
    if (elsewhere === undefined) return decodeState(committed.offset, committed.metadata)
    const record = await this.#log.at(elsewhere.at)
    const value = record?.value?.toString()
    if (value !== undefined) {
      const { low, state } = JSON.parse(value) as Copy
      return decodeState(low, state)
    }
    // A later one of the same owner's took its place.
    if (copy?.by === elsewhere.by) return decodeState(copy.low, copy.state)
    return decodeState(committed.offset, null)
  }

  /** Offsets of one group; those that it never committed are left out. */
  async #committed(groupId: string, places: readonly Place[]) {
    const { driver } = this.#wire
    const byTopic = Map.groupBy(places, ({ topic }) => topic)
    const topics = [...byTopic].map(([name, list]) => ({
      name,
      partitionIndexes: list.map(({ partition }) => partition),
    }))
    return this.#wire.persist(async (isAgain) => {
      const server = await this.#wire.coordinator(groupId, isAgain)
      const asked = this.#line.call(
        server,
        driver.offsetFetchV8.api,
        [{ groupId, memberEpoch: -1, topics }],
        true,
      )
      const answer = await withPartErrors(asked)
      const found = new Map<string, CommittedOffset>()
      for (const group of answer.groups) {
        if (group.errorCode !== 0 && group.errorCode !== groupUnknown) {
          throw new driver.ProtocolError(group.errorCode)
        }
        for (const { name, partitions } of group.topics) {
          for (const part of partitions) {
            if (part.errorCode !== 0) throw new driver.ProtocolError(part.errorCode)
            if (part.committedOffset < 0n) continue
            const place = { topic: name, partition: part.partitionIndex }
            const offset = Number(part.committedOffset)
            found.set(laneName(place), { ...place, offset, metadata: part.metadata ?? null })
          }
        }
      }
      return found
    })
  }

  async commit(
    group: GroupId,
    ticket: { memberId: string; generation: number },
    commits: readonly LaneCommit[],
  ): Promise<CommitCodes> {
    const written = await Promise.all(
      commits.map(async (commit) => ({
        ...commit,
        metadata: await this.#metadataFor(group, ticket.memberId, commit),
      })),
    )
    const byTopic = Map.groupBy(written, ({ topic }) => topic)
    const topics = [...byTopic].map(([name, list]) => ({
      name,
      partitions: list.map(({ partition, state, metadata }) => ({
        partitionIndex: partition,
        committedOffset: BigInt(state.low),
        committedLeaderEpoch: -1,
        committedMetadata: metadata,
      })),
    }))
    const server = await this.#wire.coordinator(group.groupId)
    const { api } = this.#wire.driver.offsetCommitV8
    const { generation, memberId } = ticket
    const answer = await withPartErrors(
      this.#line.call(server, api, group.groupId, generation, memberId, null, topics),
    )
    const codes = new Map<string, number>()
    for (const { name, partitions } of answer.topics) {
      for (const { partitionIndex, errorCode } of partitions) {
        codes.set(laneName({ topic: name, partition: partitionIndex }), errorCode)
        // The broker allows less than usual: from now on states lie in the topic.
        if (errorCode === metadataTooLarge) this.#metadataMax = 0
      }
    }
    return codes
  }

  async #metadataFor(group: GroupId, by: string, commit: LaneCommit): Promise<string> {
    const text = encodeState(commit.state)
    if (Buffer.byteLength(text) <= this.#metadataMax) return text
    const at = await this.#put(group, commit, by)
    const elsewhere: Elsewhere = { v: 2, at, by }
    return JSON.stringify(elsewhere)
  }

  #put(group: GroupId, commit: LaneCommit, by: string): Promise<number> {
    const copy: Copy = { by, low: commit.state.low, state: encodeState(commit.state) }
    const key = `lane:${group.name}:${laneName(commit)}`
    return this.#log.put(key, Buffer.from(JSON.stringify(copy)))
  }

  async copy(group: GroupId, commits: readonly LaneCommit[]): Promise<void> {
    await Promise.all(commits.map((commit) => this.#put(group, commit, '')))
  }

  async forget(group: GroupId, places: readonly Place[]): Promise<void> {
    await Promise.all(
      places.map((place) => this.#log.put(`lane:${group.name}:${laneName(place)}`, null)),
    )
  }

  async forgetCounts(places: readonly Place[]): Promise<void> {
    await Promise.all(places.map((place) => this.#log.put(`meter:${laneName(place)}`, null)))
    await this.#log.refresh()
  }
}

const groupUnknown = 69

function elsewhereOf(metadata: string | null): Elsewhere | undefined {
  if (metadata === null || !metadata.startsWith('{"v":2,')) return undefined
  return JSON.parse(metadata) as Elsewhere
}
