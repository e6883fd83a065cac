import { isIP } from 'node:net'
import type { API, Connection, ConnectionPool } from '@platformatic/kafka'
import { type Clock, delay } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { brokerErrorIds, isPassing, kafkaError } from './errors.ts'
import type { KafkaDriver } from './kafka-driver.ts'
import type { KafkaTarget, Server } from './url.ts'

/** One connection to each server, on which requests are answered one after another: whatever may wait long has a line of its own. */
export interface Line {
  /** Sends one request. Rejects with the client's own error. */
  call<Args extends unknown[], Answer>(
    server: Server,
    api: API<Args, Answer>,
    ...args: Args
  ): Promise<Answer>
  close(): Promise<void>
}

export interface TopicFacts {
  readonly name: string
  /** Server that leads each partition; undefined: none does now. */
  readonly leaders: readonly (Server | undefined)[]
  /** Copies that the partition with the fewest has, in sync or not. */
  readonly copies: number
}

/** The connections to one cluster, and what is where in it. */
export interface Wire {
  readonly driver: KafkaDriver
  readonly target: KafkaTarget
  readonly clock: Clock
  /** Short requests: metadata, administration, looking up. */
  readonly control: Line
  /** Opens a further line. `requestMs`: silence after which the connection is given up. */
  line(options: { readonly requestMs: number }): Line
  /** Checks that the cluster is there, lets us in and is new enough. @throws the BROKER_ codes */
  open(): Promise<void>
  /** What is known of topics; the absent ones are left out. `isFresh`: asks again. */
  topics(names: readonly string[], isFresh?: boolean): Promise<ReadonlyMap<string, TopicFacts>>
  /** Names of all topics. */
  allTopics(): Promise<readonly string[]>
  /** The server that coordinates a consumer group. `isFresh`: asks again, because it has moved. */
  coordinator(groupId: string, isFresh?: boolean): Promise<Server>
  /** The server that creates and deletes topics. */
  controller(): Promise<Server>
  /** Any server that answers. */
  anyServer(): Promise<Server>
  /** Repeats what fails for a passing reason until it succeeds or the time is over. @throws TreatyError */
  persist<T>(work: (isAgain: boolean) => Promise<T>, options?: PersistOptions): Promise<T>
  /** The error as one of ours. */
  known(error: unknown): TreatyError
  close(): Promise<void>
  readonly isClosed: boolean
}
export interface PersistOptions {
  /** Default 10 000. */
  readonly boundMs?: number
  readonly signal?: AbortSignal
  /** What passes here although it does not everywhere. */
  readonly alsoPassing?: (error: unknown) => boolean
}

const connectMs = 4000
const controlMs = 8000
const persistMs = 10_000
const metadataMs = 60_000

export function createWire(driver: KafkaDriver, target: KafkaTarget, clock: Clock): Wire {
  return new ClusterWire(driver, target, clock)
}

/** The answer of a request, also where parts of it are errors: each part has its own code. */
export async function withPartErrors<Answer>(asked: Promise<Answer>): Promise<Answer> {
  try {
    return await asked
  } catch (error) {
    const { response } = error as { response?: Answer }
    if (response === undefined) throw error
    return response
  }
}

class ClusterWire implements Wire {
  readonly driver: KafkaDriver
  readonly target: KafkaTarget
  readonly clock: Clock
  readonly control: Line
  isClosed = false
  readonly #lines = new Set<Line>()
  readonly #topics = new Map<string, TopicFacts & { readonly at: number }>()
  readonly #coordinators = new Map<string, Server>()
  #servers: ReadonlyMap<number, Server> = new Map()
  #controllerId = -1
  #working: Server | undefined

  constructor(driver: KafkaDriver, target: KafkaTarget, clock: Clock) {
    this.driver = driver
    this.target = target
    this.clock = clock
    this.control = this.line({ requestMs: controlMs })
  }

  line({ requestMs }: { readonly requestMs: number }): Line {
    // TLS knows names of servers, and no addresses (RFC 6066, 3): those with one have connections of their own.
    const named = this.#pool(requestMs, true)
    const numbered = this.#pool(requestMs, false)
    const line: Line = {
      call: async (server, api, ...args) => {
        if (this.isClosed) throw closedError()
        const pool = isIP(server.host) === 0 ? named : numbered
        const known = pool.getEstablishedConnection(server)
        const connection = known?.isConnected() === true ? known : await pool.get({ ...server })
        return api.async(connection, ...args)
      },
      close: async () => {
        this.#lines.delete(line)
        await Promise.allSettled([named.close(), numbered.close()])
      },
    }
    this.#lines.add(line)
    return line
  }

  #pool(requestMs: number, isNamed: boolean): ConnectionPool {
    const { tls, sasl } = this.target
    const tlsServerName = isNamed && tls !== undefined && tls.servername === undefined
    const pool = new this.driver.ConnectionPool('treaty', {
      connectTimeout: connectMs,
      requestTimeout: requestMs,
      maxInflights: 64,
      ...(tls === undefined ? {} : { tls, tlsServerName }),
      ...(sasl === undefined ? {} : { sasl }),
    })
    // A connection that fails while nobody waits for it must not end the process.
    pool.on('connecting', ({ connection }: { connection: Connection }) => {
      connection.on('error', () => undefined)
    })
    return pool
  }

  async open(): Promise<void> {
    const { driver } = this
    const server = await this.anyServer()
    const answer = await this.control
      .call(server, driver.apiVersionsV3.api, 'treaty', '1')
      .catch((error: unknown) => {
        throw this.known(error)
      })
    const offered = new Map(answer.apiKeys.map((each) => [each.apiKey, each]))
    for (const { key, version } of neededApis(driver)) {
      const range = offered.get(key)
      if (range !== undefined && range.minVersion <= version && range.maxVersion >= version)
        continue
      throw new TreatyError(
        'BROKER_TOO_OLD',
        `the Kafka cluster at ${this.target.shown} lacks version ${version} of the request ${key}: Kafka 3.1 or newer is needed`,
        { details: { request: key, version } },
      )
    }
    await this.topics([], true)
  }

  async anyServer(): Promise<Server> {
    const errors: unknown[] = []
    const candidates = [this.#working, ...this.#servers.values(), ...this.target.servers]
    for (const server of candidates) {
      if (server === undefined) continue
      try {
        await this.control.call(server, this.driver.apiVersionsV3.api, 'treaty', '1')
        this.#working = server
        return server
      } catch (error) {
        errors.push(error)
      }
    }
    this.#working = undefined
    throw this.known(errors.at(-1))
  }

  async topics(
    names: readonly string[],
    isFresh = false,
  ): Promise<ReadonlyMap<string, TopicFacts>> {
    const now = this.clock.monotonic()
    const unknown = names.filter((name) => {
      const facts = this.#topics.get(name)
      return facts === undefined || now - facts.at > metadataMs || facts.leaders.includes(undefined)
    })
    if (isFresh) await this.#learn(names)
    else if (unknown.length > 0) await this.#learn(unknown)
    const found = new Map<string, TopicFacts>()
    for (const name of names) {
      const facts = this.#topics.get(name)
      if (facts !== undefined) found.set(name, facts)
    }
    return found
  }

  async allTopics(): Promise<readonly string[]> {
    const answer = await this.#metadata(null)
    return answer.topics.flatMap(({ name, isInternal }) =>
      name === null || name === undefined || isInternal ? [] : [name],
    )
  }

  async #metadata(names: readonly string[] | null) {
    const { api } = this.driver.metadataV12
    const server = this.#working ?? (await this.anyServer())
    try {
      // Null asks for all of them, which the type of the client does not know.
      const wanted = (names === null ? null : [...names]) as string[]
      return await withPartErrors(this.control.call(server, api, wanted, false, false))
    } catch (error) {
      this.#working = undefined
      throw error
    }
  }

  async #learn(names: readonly string[]): Promise<void> {
    const answer = await this.#metadata(names)
    this.#servers = new Map(
      answer.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]),
    )
    this.#controllerId = answer.controllerId
    const at = this.clock.monotonic()
    for (const name of names) this.#topics.delete(name)
    for (const topic of answer.topics) {
      const name = topic.name ?? ''
      if (topic.errorCode !== 0) continue
      const leaders: (Server | undefined)[] = []
      for (const part of topic.partitions) {
        leaders[part.partitionIndex] = this.#servers.get(part.leaderId)
      }
      const copies = Math.min(...topic.partitions.map(({ replicaNodes }) => replicaNodes.length))
      this.#topics.set(name, { name, leaders: Array.from(leaders), copies, at })
    }
  }

  async coordinator(groupId: string, isFresh = false): Promise<Server> {
    const known = this.#coordinators.get(groupId)
    if (known !== undefined && !isFresh) return known
    const { api } = this.driver.findCoordinatorV4
    const server = this.#working ?? (await this.anyServer())
    try {
      const answer = await this.control.call(server, api, 0, [groupId])
      const [found] = answer.coordinators
      if (found === undefined) throw closedError()
      const { host, port } = found
      this.#coordinators.set(groupId, { host, port })
      return { host, port }
    } catch (error) {
      this.#working = undefined
      throw error
    }
  }

  async controller(): Promise<Server> {
    await this.#learn([])
    return this.#servers.get(this.#controllerId) ?? this.anyServer()
  }

  async persist<T>(
    work: (isAgain: boolean) => Promise<T>,
    { boundMs = persistMs, signal, alsoPassing }: PersistOptions = {},
  ): Promise<T> {
    const until = this.clock.monotonic() + boundMs
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work(attempt > 0)
      } catch (error) {
        const isOver = this.isClosed || this.clock.monotonic() >= until || signal?.aborted === true
        const mayPass = isPassing(error) || alsoPassing?.(error) === true
        if (isOver || !mayPass) throw this.known(error)
        await delay(this.clock, Math.min(1000, 50 * 2 ** Math.min(attempt, 5)))
      }
    }
  }

  known(error: unknown): TreatyError {
    return kafkaError(error, this.target.shown)
  }

  async close(): Promise<void> {
    this.isClosed = true
    await Promise.all([...this.#lines].map((line) => line.close()))
  }
}

function closedError(): TreatyError {
  return new TreatyError('TRANSPORT_NOT_CONNECTED', 'the connection to Kafka is closed')
}

/** Every request that we send, in the one version that we speak: what Kafka 3.1 and all later ones know. */
function neededApis(driver: KafkaDriver): readonly { key: number; version: number }[] {
  return [
    driver.produceV9.api,
    driver.fetchV12.api,
    driver.listOffsetsV7.api,
    driver.metadataV12.api,
    driver.offsetCommitV8.api,
    driver.offsetFetchV8.api,
    driver.findCoordinatorV4.api,
    driver.joinGroupV7.api,
    driver.syncGroupV5.api,
    driver.heartbeatV4.api,
    driver.leaveGroupV4.api,
    driver.createTopicsV7.api,
    driver.describeConfigsV4.api,
    driver.describeGroupsV5.api,
  ]
}

/** True where a request failed because what it named has moved to another server. */
export function hasMoved(error: unknown): boolean {
  const ids = brokerErrorIds(error)
  return [
    'NOT_COORDINATOR',
    'COORDINATOR_NOT_AVAILABLE',
    'NOT_LEADER_OR_FOLLOWER',
    'LEADER_NOT_AVAILABLE',
    'NOT_CONTROLLER',
    'UNKNOWN_TOPIC_OR_PARTITION',
  ].some((id) => ids.has(id))
}
