import type { Redis, RedisOptions } from 'ioredis'
import { type Clock, delay, type TimerHandle } from '../../../core/clock.ts'
import type { TreatyError } from '../../../core/errors.ts'
import type { Random } from '../../../core/random.ts'
import type { RedisDriver } from './driver.ts'
import { asBrokerError, isReplyError } from './failures.ts'
import { namesUnder } from './names.ts'
import { deniedCommands } from './permissions.ts'
import { type Argument, encodeCommand, type Reply } from './resp.ts'
import type { Script } from './script.ts'
import { allScripts } from './scripts.ts'
import { explainSilence } from './tls-probe.ts'
import type { RedisPlace } from './url.ts'

/** The connection ended before the answer came: what was asked for may or may not have been done. */
export class LostAnswer extends Error {
  override readonly name = 'LostAnswer'
}

/** One connection at a time to the server, made anew by itself whenever it ends. Nothing is ever sent twice by it. */
export interface Link {
  /** The first connection. @throws the BROKER_ codes */
  open(signal?: AbortSignal): Promise<void>
  /** @throws LostAnswer · BROKER_UNREACHABLE when it was not even sent · what the server answers */
  call(command: string, ...args: readonly Argument[]): Promise<Reply>
  /** One script, atomic; `base` is its first key. The same errors. */
  run(script: Script, base: string, args: readonly Argument[]): Promise<Reply>
  /** Asks again, over a new connection, when an answer was lost; only for what may be done twice. */
  ask(work: () => Promise<Reply>): Promise<Reply>
  /** Waits until there is a connection. @throws BROKER_UNREACHABLE */
  ready(withinMs?: number): Promise<void>
  readonly isReady: boolean
  close(): void
}

export interface LinkOptions {
  readonly driver: RedisDriver
  readonly place: RedisPlace
  readonly clock: Clock
  readonly random: Random
  /** Milliseconds without an answer after which the connection is given up as half-open. */
  readonly silenceMs: number
  /** Before a connection is used: refuses servers that will not do. */
  readonly check: (call: Link['call']) => Promise<void>
  readonly onUp?: () => void
  readonly onDown: (error: TreatyError) => void
}

const connectMs = 5000
const pauseMsMin = 100
const pauseMsMax = 1000
export const patienceMs = 5000

export function createLink(options: LinkOptions): Link {
  return new RedisLink(options)
}

/** A class because every step shares the connection. */
class RedisLink implements Link {
  readonly #options: LinkOptions
  #client: Redis | undefined
  #isReady = false
  #isClosed = false
  #lastError: unknown
  #denied: Promise<readonly string[]> | undefined
  #waiting: (() => void)[] = []
  #timer: TimerHandle | undefined
  #pauseMs = pauseMsMin

  constructor(options: LinkOptions) {
    this.#options = options
  }

  get isReady(): boolean {
    return this.#isReady
  }

  async open(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const onAbort = () => this.#client?.disconnect()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await this.#connect()
    } catch (error) {
      this.close()
      signal?.throwIfAborted()
      throw await explainSilence(error as TreatyError, this.#options.place)
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #connect(): Promise<void> {
    const { driver, place, check, onUp } = this.#options
    const client = new driver.Redis(this.#settings())
    this.#client = client
    let problem: unknown
    // Without a listener the driver prints; the last error tells most.
    client.on('error', (error: unknown) => {
      problem = error
    })
    client.on('end', () => this.#ended(client, problem))
    try {
      await client.connect()
      const call = callOf(client)
      await check(call)
      await Promise.all(allScripts.map(({ text }) => call('SCRIPT', 'LOAD', text)))
    } catch (error) {
      client.disconnect()
      throw asBrokerError(problem ?? error, place.name)
    }
    if (this.#isClosed) {
      client.disconnect()
      return
    }
    this.#isReady = true
    this.#pauseMs = pauseMsMin
    for (const resume of this.#waiting.splice(0)) resume()
    onUp?.()
  }

  #settings(): RedisOptions & { readonly replyMapping: 'legacy' } {
    const { place, silenceMs } = this.#options
    const { host, port, database, username, password, tls } = place
    return {
      host,
      port,
      db: database,
      lazyConnect: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      retryStrategy: null,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: null,
      protocol: 2,
      replyMapping: 'legacy',
      connectTimeout: connectMs,
      socketTimeout: silenceMs,
      keepAlive: 5000,
      noDelay: true,
      disableClientInfo: true,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(tls === undefined
        ? {}
        : {
            tls: {
              ...(tls.ca === undefined ? {} : { ca: tls.ca }),
              servername: tls.servername ?? (/^[\d.:]+$/.test(host) ? '' : host),
            },
          }),
    }
  }

  #ended(client: Redis, problem: unknown): void {
    if (client !== this.#client || this.#isClosed || !this.#isReady) return
    this.#isReady = false
    const { place, onDown } = this.#options
    this.#lastError = problem
    onDown(asBrokerError(problem ?? new Error('the connection ended'), place.name))
    this.#again()
  }

  #again(): void {
    if (this.#isClosed) return
    const { clock, random } = this.#options
    const pauseMs = this.#pauseMs * (0.5 + random() / 2)
    this.#pauseMs = Math.min(pauseMsMax, this.#pauseMs * 2)
    this.#timer = clock.setTimeout(() => {
      this.#connect().catch((error: unknown) => {
        this.#lastError = error
        this.#again()
      })
    }, pauseMs)
  }

  async ready(withinMs = patienceMs): Promise<void> {
    if (this.#isReady) return
    const { clock } = this.#options
    if (!this.#isClosed && withinMs > 0) {
      const end = new AbortController()
      const resumed = new Promise<void>((resolve) => this.#waiting.push(resolve))
      await Promise.race([resumed, delay(clock, withinMs, end.signal).catch(() => undefined)])
      end.abort()
    }
    if (!this.#isReady) throw this.#unreachable()
  }

  #unreachable(): TreatyError {
    const { name } = this.#options.place
    if (this.#lastError !== undefined) return asBrokerError(this.#lastError, name)
    return asBrokerError(new Error('there is no connection'), name)
  }

  async call(command: string, ...args: readonly Argument[]): Promise<Reply> {
    const client = this.#client
    if (client === undefined || !this.#isReady) throw this.#unreachable()
    return answerOf(client.callBuffer(command, ...(args as Argument[])))
  }

  /** The same for a command of any size, as bytes that are made at once. */
  #send(parts: readonly Argument[]): Promise<Reply> {
    const client = this.#client
    if (client === undefined || !this.#isReady) throw this.#unreachable()
    const command = new this.#options.driver.Command(String(parts[0]))
    command.toWritable = () => encodeCommand(parts)
    return answerOf(client.sendCommand(command))
  }

  async run(script: Script, base: string, args: readonly Argument[]): Promise<Reply> {
    try {
      return await this.#send(['EVALSHA', script.sha, 1, base, ...args])
    } catch (error) {
      if (!isReplyError(error)) throw error
      // Somebody has emptied the server's memory of scripts: nothing was done yet.
      if (!/^NOSCRIPT/.test((error as Error).message)) throw await this.#explained(error)
      return this.#send(['EVAL', script.text, 1, base, ...args])
    }
  }

  /** A script does not say which of its commands is forbidden: that is asked once, on a connection of its own. */
  async #explained(error: unknown): Promise<TreatyError> {
    const { driver, place } = this.#options
    const plain = asBrokerError(error, place.name)
    if (plain.code !== 'BROKER_ACCESS_DENIED') return plain
    this.#denied ??= (async () => {
      const client = new driver.Redis(this.#settings())
      client.on('error', () => undefined)
      try {
        await client.connect()
        return await deniedCommands(callOf(client), namesUnder(place.prefix).groups)
      } catch {
        return []
      } finally {
        client.disconnect()
      }
    })()
    return asBrokerError(error, place.name, await this.#denied)
  }

  async ask(work: () => Promise<Reply>): Promise<Reply> {
    const { name } = this.#options.place
    for (let attempt = 1; ; attempt += 1) {
      await this.ready()
      try {
        return await work()
      } catch (error) {
        if (!(error instanceof LostAnswer) || attempt === 3) throw asBrokerError(error, name)
      }
    }
  }

  close(): void {
    this.#isClosed = true
    this.#isReady = false
    const { clock } = this.#options
    if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
    this.#client?.disconnect()
    for (const resume of this.#waiting.splice(0)) resume()
  }
}

function callOf(client: Redis): Link['call'] {
  return (command, ...args) => client.callBuffer(command, ...(args as Argument[])) as Promise<Reply>
}

/** @throws LostAnswer · what the server answers */
async function answerOf(asked: unknown): Promise<Reply> {
  try {
    return (await asked) as Reply
  } catch (error) {
    if (isReplyError(error)) throw error
    throw new LostAnswer('the connection ended before the server answered', { cause: error })
  }
}
