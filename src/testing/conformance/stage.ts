import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { Random } from '../../core/random.ts'
import type {
  Capabilities,
  ChannelTopology,
  DeadLetterSummary,
  GroupTopology,
  OutgoingRecord,
  PublishResult,
  Topology,
  Transport,
} from '../../messaging/transport.ts'
import type { Child } from './child-process.ts'
import { startChild } from './child-process.ts'
import type { ChildTransport, ConnectOptions, Effort, TransportUnderTest } from './under-test.ts'
import { waitUntil } from './waiting.ts'

/** What one behaviour has at hand; everything it opens is closed when it ends. */
export interface Stage {
  readonly seed: number
  readonly random: Random
  readonly capabilities: Capabilities
  readonly broker: TransportUnderTest
  /** False where there can be only one connection to the broker. */
  readonly reconnects: boolean
  /** The lease of every connection that is made here, in milliseconds. */
  readonly leaseMs: number
  readonly effort: Effort
  /** A name that no other behaviour uses, so that one broker can serve them all. */
  name(base: string): string
  connect(options?: ConnectOptions): Promise<Transport>
  /** A channel with its groups, made on the broker. */
  scene(spec?: SceneSpec): Promise<Scene>
  /** A process of its own, connected to the same broker. */
  child(scene: Scene): Promise<Child>
  /** Runs at the end, last registered first. */
  defer(end: () => Promise<unknown> | unknown): void
}

export interface SceneSpec {
  readonly ordering?: ChannelTopology['ordering']
  /** Names of the consumers; each owns a group. Default one, `worker`. */
  readonly consumers?: readonly string[]
  readonly group?: Partial<Pick<GroupTopology, 'deliveriesMax' | 'start' | 'ephemeral'>>
  readonly deadLetter?: Partial<GroupTopology['deadLetter']>
  readonly retentionMs?: number
  readonly connect?: ConnectOptions
}

export interface Scene {
  readonly transport: Transport
  readonly topology: Topology
  readonly address: string
  readonly type: string
  /** Name of the first group. */
  readonly group: string
  /** Name of a consumer's group. */
  groupOf(consumer: string): string
  /** A further connection, with the topology ensured. */
  join(options?: ConnectOptions): Promise<Transport>
  /** A record for this channel with an id of its own. */
  record(over?: Partial<OutgoingRecord>): OutgoingRecord
  records(count: number, over?: (at: number) => Partial<OutgoingRecord>): OutgoingRecord[]
  /** Publishes in batches and asserts that each record was taken. */
  publish(records: readonly OutgoingRecord[]): Promise<readonly TakenResult[]>
}
export type TakenResult = Extract<PublishResult, { id: string }>

/** Bytes of a text, as it goes over the wire. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** The scene's dead letters, once there are `count` of them, oldest first. */
export async function deadLetters(
  scene: Scene,
  count: number,
  transport: Transport = scene.transport,
): Promise<readonly DeadLetterSummary[]> {
  const filter = { event: scene.type }
  let found = 0
  await waitUntil(
    async () => {
      found = await transport.dead.count(filter)
      return found >= count
    },
    { boundMs: 5000, what: () => `${count} dead letters of "${scene.type}": ${found} are there` },
  )
  const items: DeadLetterSummary[] = []
  let cursor: string | undefined
  do {
    const page = await transport.dead.list(filter, {
      limit: 100,
      ...(cursor === undefined ? {} : { cursor }),
    })
    items.push(...page.items)
    cursor = page.next
  } while (cursor !== undefined)
  return items
}

export interface StageInput {
  readonly broker: TransportUnderTest
  readonly capabilities: Capabilities
  readonly child: ChildTransport | undefined
  readonly reconnects: boolean
  readonly seed: number
  readonly random: Random
  readonly leaseMs: number
  readonly effort: Effort
}

const publishBatch = 500

function groupsOf(prefix: string, spec: SceneSpec, address: string): GroupTopology[] {
  return (spec.consumers ?? ['worker']).map((consumer) => ({
    name: `${prefix}.${consumer}`,
    consumer,
    subscriptions: [{ address, types: '*' }],
    start: 'earliest',
    deliveriesMax: 20,
    ...spec.group,
    deadLetter: {
      address: `${address}.${consumer}.dead`,
      retentionMs: 7 * 86_400_000,
      onDead: 'next',
      onExpired: 'dead-letter',
      ...spec.deadLetter,
    },
  }))
}

async function setScene(stage: Stage, spec: SceneSpec): Promise<Scene> {
  const prefix = stage.name('scene')
  const address = `${prefix}.channel`
  const type = `${prefix}.happened`
  const channel: ChannelTopology = {
    address,
    ordering: spec.ordering ?? 'none',
    ...(spec.retentionMs === undefined ? {} : { retentionMs: spec.retentionMs }),
  }
  const topology: Topology = { channels: [channel], groups: groupsOf(prefix, spec, address) }
  const join = async (options?: ConnectOptions) => {
    const joined = await stage.connect({ ...spec.connect, ...options })
    await joined.ensure(topology, 'create')
    return joined
  }
  const transport = await join()
  let made = 0

  const record = (over: Partial<OutgoingRecord> = {}): OutgoingRecord => {
    made += 1
    const id = over.id ?? `${prefix}-${made}`
    return {
      address,
      type,
      body: bytesOf(JSON.stringify({ number: made })),
      headers: {},
      contentType: 'application/json',
      ...over,
      id,
    }
  }
  return {
    transport,
    topology,
    address,
    type,
    group: (topology.groups[0] as GroupTopology).name,
    groupOf: (consumer) => `${prefix}.${consumer}`,
    join,
    record,
    records: (count, over) => Array.from({ length: count }, (_, at) => record(over?.(at))),
    async publish(records) {
      const taken: TakenResult[] = []
      for (let from = 0; from < records.length; from += publishBatch) {
        const batch = records.slice(from, from + publishBatch)
        const results = await transport.publish(batch)
        assert.equal(results.length, batch.length, 'publish gives one result for each record')
        for (const result of results) {
          if ('error' in result) throw result.error
          taken.push(result)
        }
      }
      return taken
    },
  }
}

/** The stage of one behaviour, and how to leave it. */
export function createStage(input: StageInput): { stage: Stage; leave: () => Promise<void> } {
  const ends: (() => Promise<unknown> | unknown)[] = []
  // Not from the seed: two runs with one seed may share a broker that keeps what the first left.
  const unique = `t${randomUUID().slice(0, 8)}`
  let named = 0

  const stage: Stage = {
    seed: input.seed,
    random: input.random,
    capabilities: input.capabilities,
    broker: input.broker,
    reconnects: input.reconnects,
    leaseMs: input.leaseMs,
    effort: input.effort,
    name(base) {
      named += 1
      return `${unique}.${base}${named}`
    },
    async connect(options) {
      const transport = await input.broker.connect({ leaseMs: input.leaseMs, ...options })
      ends.push(() => transport.close({ drainMs: 0 }))
      return transport
    },
    scene: (spec = {}) => setScene(stage, spec),
    async child(scene) {
      const { child, broker } = input
      assert(child && broker.url !== undefined, 'the behaviour is gated on child processes')
      const started = await startChild({
        module: String(child.module),
        exportName: child.exportName,
        url: broker.url,
        leaseMs: input.leaseMs,
        topology: scene.topology,
      })
      ends.push(() => started.kill())
      return started
    },
    defer: (end) => void ends.push(end),
  }

  async function leave(): Promise<void> {
    const problems: unknown[] = []
    for (const end of ends.reverse()) {
      try {
        await end()
      } catch (error) {
        problems.push(error)
      }
    }
    await input.broker.dispose?.()
    if (problems.length > 0) throw problems[0]
  }
  return { stage, leave }
}
