import type { Writable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { ChannelModel, ConfirmChannel } from 'amqplib'
import { type Clock, delay, type TimerHandle } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import type { Random } from '../../../core/random.ts'
import type { RabbitmqDriver } from './driver.ts'
import { rabbitmqError } from './errors.ts'
import type { RabbitmqPlace } from './url.ts'

/** One connection at a time to the broker, made anew by itself whenever it ends. */
export interface Link {
  /** The first connection. @throws the BROKER_ codes */
  open(signal?: AbortSignal): Promise<void>
  /** Waits until there is a connection. @throws BROKER_UNREACHABLE */
  ready(withinMs?: number): Promise<void>
  /**
   * A channel that confirms. `onEnd` is told once when it is over, whoever ended it: the broker with an error, or the
   * connection, or we. A consumer that the broker cancels ends its channel.
   */
  channel(onEnd?: (error?: Error) => void): Promise<ConfirmChannel>
  readonly isUp: boolean
  /** An alarm of the broker holds back what is published. */
  readonly isBlocked: boolean
  readonly place: RabbitmqPlace
  close(): Promise<void>
}

export interface LinkOptions {
  readonly driver: RabbitmqDriver
  readonly place: RabbitmqPlace
  readonly clock: Clock
  readonly random: Random
  /** What the connection is for, as people see it on the broker. */
  readonly purpose: string
  /** There is a connection, the first one or a new one. Whatever it rejects with ends the connection. */
  readonly onUp?: () => Promise<void> | void
  readonly onDown?: (error: TreatyError) => void
  readonly onBlocked?: (isBlocked: boolean) => void
}

/** Seconds; the broker drops a silent peer after two or three of them, and so do we. */
const heartbeatS = 2
const connectMs = 5000
const farewellMs = 1000
const pauseMsMin = 100
const pauseMsMax = 1000
const patienceMsDefault = 10_000

export function createLink(options: LinkOptions): Link {
  return new AmqpLink(options)
}

/** A class because every step shares the connection. */
class AmqpLink implements Link {
  readonly #options: LinkOptions
  #model: ChannelModel | undefined
  #isUp = false
  #isBlocked = false
  #isClosed = false
  #lastError: unknown
  #waiting: (() => void)[] = []
  #timer: TimerHandle | undefined
  #pauseMs = pauseMsMin

  constructor(options: LinkOptions) {
    this.#options = options
  }

  get isUp(): boolean {
    return this.#isUp
  }
  get isBlocked(): boolean {
    return this.#isBlocked
  }
  get place(): RabbitmqPlace {
    return this.#options.place
  }

  async open(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const aborted = Promise.withResolvers<never>()
    const onAbort = () => aborted.reject(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([this.#connect(), aborted.promise])
    } catch (error) {
      await this.close()
      throw error
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #connect(): Promise<void> {
    const { place, onUp } = this.#options
    let model: ChannelModel | undefined
    try {
      model = await this.#dial()
      if (this.#isClosed) {
        destroy(model)
        return
      }
      this.#attach(model)
      this.#isUp = true
      await onUp?.()
    } catch (error) {
      if (model !== undefined) this.#drop(model)
      const isEncrypted = model === undefined && (await speaksTls(place, error))
      throw rabbitmqError(isEncrypted ? new Error('the port speaks TLS') : error, place.name)
    }
    if (this.#model !== model) throw this.#unreachable()
    this.#pauseMs = pauseMsMin
    for (const resume of this.#waiting.splice(0)) resume()
  }

  async #dial(): Promise<ChannelModel> {
    const { driver, place, purpose } = this.#options
    const { host, port, vhost, username, password, tls } = place
    const isName = !/^[\d.:]+$/.test(host)
    const servername = tls?.servername ?? (isName ? host : undefined)
    const model = await driver.connect(
      {
        protocol: tls === undefined ? 'amqp' : 'amqps',
        hostname: host,
        port,
        vhost: encodeURIComponent(vhost),
        username,
        password,
        heartbeat: heartbeatS,
      },
      {
        noDelay: true,
        timeout: connectMs,
        clientProperties: { connection_name: `treaty ${purpose}` },
        ...(tls?.ca === undefined ? {} : { ca: tls.ca }),
        ...(servername === undefined ? {} : { servername }),
      },
    )
    // Without a listener the first error would end the process.
    model.on('error', (error) => {
      this.#lastError = error
    })
    requireVersion(model, place.name)
    gatherWrites(model)
    return model
  }

  #attach(model: ChannelModel): void {
    this.#model = model
    this.#lastError = undefined
    model.on('close', (error) => this.#ended(model, error))
    model.on('blocked', () => this.#block(model, true))
    model.on('unblocked', () => this.#block(model, false))
  }

  #block(model: ChannelModel, isBlocked: boolean): void {
    if (model !== this.#model || this.#isBlocked === isBlocked) return
    this.#isBlocked = isBlocked
    this.#options.onBlocked?.(isBlocked)
  }

  #drop(model: ChannelModel): void {
    if (model === this.#model) this.#model = undefined
    this.#isUp = false
    destroy(model)
  }

  #ended(model: ChannelModel, error: unknown): void {
    // The driver only ends its side: a line that is half open would stay.
    destroy(model)
    if (model !== this.#model) return
    this.#model = undefined
    const wasUp = this.#isUp
    this.#isUp = false
    this.#block(model, false)
    this.#isBlocked = false
    if (this.#isClosed || !wasUp) return
    this.#lastError = error ?? this.#lastError
    this.#options.onDown?.(this.#unreachable())
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

  async ready(withinMs = patienceMsDefault): Promise<void> {
    if (this.#isUp && this.#model !== undefined) return
    if (!this.#isClosed && withinMs > 0) {
      const end = new AbortController()
      const resumed = new Promise<void>((resolve) => this.#waiting.push(resolve))
      const late = delay(this.#options.clock, withinMs, end.signal).catch(() => undefined)
      await Promise.race([resumed, late])
      end.abort()
    }
    if (!this.#isUp) throw this.#unreachable()
  }

  #unreachable(): TreatyError {
    const error = this.#lastError ?? new Error('the connection is closed')
    const known = rabbitmqError(error, this.#options.place.name)
    if (known.code !== 'TRANSPORT_FAILED') return known
    return new TreatyError('BROKER_UNREACHABLE', known.message, { cause: error })
  }

  async channel(onEnd?: (error?: Error) => void): Promise<ConfirmChannel> {
    const model = this.#model
    if (model === undefined || !this.#isUp) throw this.#unreachable()
    const channel = await model.createConfirmChannel()
    let problem: Error | undefined
    channel.on('error', (error) => {
      problem = error
    })
    channel.on('cancel', () => void channel.close().catch(() => undefined))
    channel.on('close', () => onEnd?.(problem))
    return channel
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const { clock } = this.#options
    if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
    for (const resume of this.#waiting.splice(0)) resume()
    const model = this.#model
    this.#isUp = false
    this.#model = undefined
    if (model === undefined) return
    const end = new AbortController()
    const farewell = model.close().catch(() => undefined)
    await Promise.race([farewell, delay(clock, farewellMs, end.signal).catch(() => undefined)])
    end.abort()
    destroy(model)
  }
}

/** A port that ends the handshake without a word may be one with TLS; asked with TLS, it says so. */
function speaksTls({ host, port, tls }: RabbitmqPlace, error: unknown): Promise<boolean> {
  if (tls !== undefined || !/closed abruptly|frame|Frame/.test(String(error))) {
    return Promise.resolve(false)
  }
  return new Promise((resolve) => {
    // Nothing is sent to it, so its certificate need not be trusted.
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: farewellMs })
    const end = (isTls: boolean) => {
      socket.destroy()
      resolve(isTls)
    }
    socket.once('secureConnect', () => end(true))
    for (const event of ['error', 'timeout', 'close'] as const) socket.once(event, () => end(false))
  })
}

/** The driver writes frame by frame; those of one turn of the event loop share a system call. */
function gatherWrites({ connection }: ChannelModel): void {
  const { stream } = connection as unknown as { stream: Writable }
  const write = stream.write.bind(stream) as (chunk: unknown) => boolean
  let isGathering = false
  stream.write = (chunk: unknown) => {
    if (!isGathering) {
      isGathering = true
      stream.cork()
      queueMicrotask(() => {
        isGathering = false
        stream.uncork()
      })
    }
    return write(chunk)
  }
}

function destroy({ connection }: ChannelModel): void {
  const { stream } = connection as unknown as { stream?: { destroy(): void } }
  stream?.destroy()
}

/** The oldest on which the lanes were tried: quorum queues with message TTL, and the order of what comes back. */
const versionMin = [3, 10] as const

/** @throws BROKER_TOO_OLD */
function requireVersion(model: ChannelModel, place: string): void {
  const { product = '', version = '' } = model.connection.serverProperties
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (product !== 'RabbitMQ') return
  if (major > versionMin[0] || (major === versionMin[0] && minor >= versionMin[1])) return
  destroy(model)
  throw new TreatyError(
    'BROKER_TOO_OLD',
    `the RabbitMQ broker at ${place} is ${version}, and ${versionMin.join('.')} is needed`,
    { hint: 'Upgrade RabbitMQ, or use another transport.', details: { version } },
  )
}
