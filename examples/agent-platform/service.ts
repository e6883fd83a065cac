// What the seven services share: a bus on the contract, ids that a repetition makes again, and an orderly end.
import { createHash } from 'node:crypto'
import { hostname } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { type Handler, type HandlerContext, type Handlers, type Message, openBus } from 'treatyjs'
import { type AgentPlatform, derivedId } from 'treatyjs/packs/agent-platform'

type Events = AgentPlatform['events']
/** Names of the events of the platform. */
export type EventName = keyof Events & string
/** Names of the services, which are the consumers of the contract. */
export type ServiceName = keyof AgentPlatform['consumers']

/** Handles one event. */
export type Handle<E extends EventName> = (
  message: Message<Events[E]>,
  context: ServiceContext,
) => Promise<void>

/** One handler for each event that the contract lists for the service, no fewer and no more; or one for all. */
export type HandlersOf<S extends ServiceName> =
  | { readonly [E in AgentPlatform['consumers'][S]]: Handle<E> }
  | { readonly '*': Handle<AgentPlatform['consumers'][S]> }

/** What a handler of a service can do. */
export interface ServiceContext {
  /** Which attempt this is, from 1. */
  readonly attempt: number
  /**
   * Publishes, under an id made from the message that is being handled, the event and `which`: a message that is
   * handed out again after a crash publishes the same ids again, and the bus knows them.
   */
  publish<E extends EventName>(event: E, data: Events[E], which?: string): Promise<void>
  /** Runs SQL inside the transaction that acknowledges the message: both happen, or neither. */
  commit(effect: (database: DatabaseSync) => void): void
}

/** Time that a service gets to finish what it has begun. */
const drainMs = 5000

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
export async function runService<S extends ServiceName>(
  name: S,
  handlers: HandlersOf<S>,
  options: { readonly announces?: boolean } = {},
): Promise<void> {
  const bus = await openBus<AgentPlatform>({
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

  await bus.consume(name, withServiceContext(handlers), { concurrency: 8 })
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

/** The same handlers as the bus calls them. */
function withServiceContext<S extends ServiceName>(
  handlers: HandlersOf<S>,
): Handlers<AgentPlatform, S> {
  const bound = Object.entries<Handle<never>>(handlers).map(([event, handle]) => {
    const handler: Handler<never, AgentPlatform> = (message, context) =>
      handle(message, serviceContext(message, context))
    return [event, handler] as const
  })
  return Object.fromEntries(bound) as unknown as Handlers<AgentPlatform, S>
}

function serviceContext(
  message: Message<unknown>,
  context: HandlerContext<AgentPlatform>,
): ServiceContext {
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
