// What the seven services share: a bus, a table or two of their own, and an orderly end.
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { type HandlerContext, type Message, type Outcome, openBus } from 'treatyjs'

/** Handles one event. What it publishes carries ids made from its cause, so that a repetition is recognised. */
export type Handle<Data> = (
  message: Message<Data>,
  context: ServiceContext,
) => Promise<Outcome | undefined>

/** The bus's own context, with publishing that can be repeated. */
export interface ServiceContext {
  readonly bus: HandlerContext
  readonly attempt: number
  /** Publishes; `purpose` tells apart several messages of one cause. */
  publish(event: string, data: object, purpose?: string): Promise<void>
  /** Runs SQL inside the transaction that acknowledges the message: both happen, or neither. */
  commit(sql: string, ...values: (string | number | null)[]): void
  /** Gives the message back until something that must come first has come. */
  later(): Outcome
}

export interface ServiceDefinition {
  readonly name: string
  /** SQL that makes the tables of this service; their names begin with its own. */
  readonly tables?: string
  readonly handlers: (state: ServiceState) => Record<string, Handle<never>>
}

/** What the service itself has committed. */
export interface ServiceState {
  row<Row>(sql: string, ...values: (string | number)[]): Row | undefined
}

/** A UUID that is the same for the same parts, today and after a crash. */
export function idFor(...parts: readonly string[]): string {
  const bytes = createHash('sha256').update(parts.join('\n')).digest().subarray(0, 16)
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f)
  const hex = bytes.toString('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}

/** A number from 0 to `below` - 1 that depends on the parts alone: luck that comes out the same again. */
export function luckFor(below: number, ...parts: readonly string[]): number {
  return createHash('sha256').update(parts.join('\n')).digest().readUInt32BE(4) % below
}

/** The time of a message plus so many milliseconds: a fact that a repetition does not change. */
export function timeAfter(message: Message<unknown>, delayMs: number): string {
  return new Date(Date.parse(message.timestamp) + delayMs).toISOString()
}

/** Simulated work of other systems. */
export function work(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs))
}

/** Starts a service: announces itself, consumes, and ends on SIGTERM or when whoever started it is gone. */
export async function runService(definition: ServiceDefinition): Promise<void> {
  const transport = process.env.TREATY_TRANSPORT ?? 'sqlite:./treaty.db'
  const { name } = definition
  const bus = await openBus({
    contracts: fileURLToPath(new URL('../../contracts/agent-platform', import.meta.url)),
    transport,
    service: name,
    leaseMs: Number(process.env.TREATY_LEASE_MS ?? 30_000),
  })
  const state = openState(transport, definition.tables)
  const handlers = Object.entries(definition.handlers(state)).map(([event, handle]) => [
    event,
    (message: Message, context: HandlerContext) =>
      handle(message as Message<never>, serviceContext(message, context)),
  ])
  await bus.consume(name, Object.fromEntries(handlers), { concurrency: 8 })
  await bus.publish('system.service_started', {
    service_id: name,
    version: '1.0.0',
    environment: 'development',
    hostname: hostname(),
  })
  const end = async () => {
    await bus.close({ drainMs: 5000 })
    process.exit(0)
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  // The supervisor holds the other end of standard input: it closes also when the supervisor is killed.
  if (process.env.TREATY_SUPERVISED) process.stdin.resume().once('close', end)
}

function serviceContext(message: Message, bus: HandlerContext): ServiceContext {
  return {
    bus,
    attempt: bus.attempt,
    async publish(event, data, purpose = event) {
      await bus.publish(event, data, { id: idFor(message.id, purpose) })
    },
    commit(sql, ...values) {
      bus.commit((tx) => (tx as DatabaseSync).prepare(sql).run(...values))
    },
    later: () => bus.release({ afterMs: 500 }),
  }
}

/** The service's own tables live in the file of the bus; that is what makes `commit` one transaction. */
function openState(transport: string, tables: string | undefined): ServiceState {
  const database = new DatabaseSync(transport.replace(/^sqlite:(\/\/(?=\/))?/, ''), {
    timeout: 10_000,
  })
  if (tables) database.exec(tables)
  return {
    row: <Row>(sql: string, ...values: (string | number)[]) =>
      database.prepare(sql).get(...values) as Row | undefined,
  }
}
