// What the seven services share: a bus on the contract, ids that a repetition makes again, and an orderly end.
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { type HandlerContext, type Message, openBus } from 'treatyjs'

/** Handles one event of the consumer. */
export type Handle<Data> = (message: Message<Data>, context: ServiceContext) => Promise<void>

/** What a handler of a service can do. */
export interface ServiceContext {
  /** Which attempt this is, from 1. */
  readonly attempt: number
  /**
   * Publishes, under an id made from the message that is being handled, the event and `which`: a message that is
   * handed out again after a crash publishes the same ids again, and the bus knows them.
   */
  publish(event: string, data: object, which?: string): Promise<void>
  /** Runs SQL inside the transaction that acknowledges the message: both happen, or neither. */
  commit(effect: (database: DatabaseSync) => void): void
}

/** Time that a service gets to finish what it has begun. */
const drainMs = 5000

/** A UUID that is the same for the same parts, today and after a crash. */
export function derivedId(...parts: readonly string[]): string {
  const bytes = createHash('sha256').update(parts.join('\n')).digest()
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f)
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f)
  return bytes.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** A whole number from 0 to `below` - 1 that depends on the parts alone: luck that comes out the same again. */
export function derivedNumber(below: number, ...parts: readonly string[]): number {
  return createHash('sha256').update(parts.join('\n')).digest().readUInt32BE(4) % below
}

/** The time of a message plus so many milliseconds: a fact that a repetition does not change. */
export function timeAfter(message: { readonly timestamp: string }, delayMs: number): string {
  return new Date(Date.parse(message.timestamp) + delayMs).toISOString()
}

/** Stands for the work of other systems. */
export function work(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs))
}

/** Where messages travel, and where the tables of the services live beside them: `commit` is one transaction. */
const transport = process.env.TREATY_TRANSPORT ?? 'sqlite:./treaty.db'

/** What a service has committed in its own tables, which begin with its name. */
export interface State {
  row<Row>(sql: string, ...values: readonly string[]): Row | undefined
}

/** Makes the tables of a service, where they are not there yet. */
export function openState(tables: string): State {
  const file = transport.replace(/^sqlite:(?:\/\/(?=\/))?/, '')
  const database = new DatabaseSync(file, { timeout: 10_000 })
  database.exec(tables)
  return {
    row: <Row>(sql: string, ...values: readonly string[]) =>
      database.prepare(sql).get(...values) as Row | undefined,
  }
}

/** Starts a service: consumes, says that it is up, and ends on SIGTERM or when whoever started it is gone. */
export async function runService(
  name: string,
  handlers: Readonly<Record<string, Handle<never>>>,
  options: { readonly announces?: boolean } = {},
): Promise<void> {
  const bus = await openBus({
    contracts: fileURLToPath(new URL('../../contracts/agent-platform', import.meta.url)),
    transport,
    service: name,
    leaseMs: Number(process.env.TREATY_LEASE_MS ?? 30_000),
  })
  const end = async () => {
    await bus.close({ drainMs })
    process.exit(0)
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  // The supervisor holds the other end of standard input: it closes also when the supervisor is killed.
  if (process.env.TREATY_SUPERVISED !== undefined) process.stdin.resume().once('close', end)

  const bound = Object.entries(handlers).map(([event, handle]) => [
    event,
    (message: Message, context: HandlerContext) =>
      handle(message as Message<never>, serviceContext(message, context)),
  ])
  await bus.consume(name, Object.fromEntries(bound), { concurrency: 8 })
  if (options.announces === false) return
  await bus.publish('system.service_started', {
    service_id: name,
    version: '1.0.0',
    environment: 'development',
    hostname: hostname(),
  })
  await bus.publish('system.service_health', {
    service_id: name,
    status: 'healthy',
    metrics: { memory_usage_mb: Math.round(process.memoryUsage.rss() / 1_048_576) },
    dependencies: { bus: 'healthy' },
  })
}

function serviceContext(message: Message, context: HandlerContext): ServiceContext {
  return {
    attempt: context.attempt,
    async publish(event, data, which = '') {
      await context.publish(event, data, { id: derivedId('message', message.id, event, which) })
    },
    commit(effect) {
      context.commit((tx) => effect(tx as DatabaseSync))
    },
  }
}
