import type { Clock, TimerHandle } from '../../../core/clock.ts'
import { loadPostgresDriver, mapPostgresError } from '../../../store/index.ts'

/** Hears what other processes say, on a connection of its own, made anew when it is lost. */
export interface Listener {
  /** Runs a statement on this connection, now and again on each that follows it. A failure is left to the next connection. */
  also(sql: string): Promise<void>
  close(): Promise<void>
}

interface ListenerOptions {
  readonly connection: string
  /** The server as errors name it: without user and password. */
  readonly name: string
  readonly channel: string
  readonly clock: Clock
  /** Told each message; undefined: some may have been missed. */
  readonly onMessage: (payload: string | undefined) => void
}

const pauseMs = 250
const connectMs = 5000

/** Resolves once it listens. @throws STORE_UNAVAILABLE and its kin when the first connection cannot be made */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { clock, onMessage } = options
  const { Client } = await loadPostgresDriver()
  let isClosed = false
  let timer: TimerHandle | undefined
  let current: InstanceType<typeof Client> | undefined
  let more = ''

  const connect = async () => {
    const client = new Client({
      connectionString: options.connection,
      fallback_application_name: 'treaty listener',
      connectionTimeoutMillis: connectMs,
      query_timeout: connectMs,
      keepAlive: true,
    })
    let isOver = false
    const lost = () => {
      if (isOver) return
      isOver = true
      if (!isClosed) timer = clock.setTimeout(() => void again(), pauseMs)
    }
    client.on('notification', ({ payload }) => onMessage(payload))
    // Late errors of a connection that was given up already mean nothing.
    client.on('error', lost)
    client.on('end', lost)
    try {
      await client.connect()
      await client.query(`LISTEN "${options.channel}"`)
      if (more !== '') await client.query(more)
    } catch (error) {
      isOver = true
      void client.end().catch(() => undefined)
      throw error
    }
    current = client
    if (isClosed) await client.end()
  }
  const again = async () => {
    if (isClosed) return
    try {
      await connect()
      onMessage(undefined)
    } catch {
      // The statements of the pool report that the server is away; here it is only tried again.
      timer = clock.setTimeout(() => void again(), pauseMs)
    }
  }

  await connect().catch((error: unknown) => {
    throw mapPostgresError(error, options.name)
  })
  return {
    async also(sql) {
      more = sql
      await current?.query(sql).catch(() => undefined)
    },
    async close() {
      isClosed = true
      if (timer !== undefined) clock.clearTimeout(timer)
      await current?.end().catch(() => undefined)
    },
  }
}
