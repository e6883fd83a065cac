import { randomBytes } from 'node:crypto'
import type { ConfirmChannel } from 'amqplib'
import { type Clock, delay, type TimerHandle } from '../../../core/clock.ts'
import { TreatyError } from '../../../core/errors.ts'
import { laneOf } from '../../lanes/share.ts'
import type { OutgoingRecord, PublishResult } from '../../transport.ts'
import { channelCode } from './errors.ts'
import { type Publishing, publishAll } from './frames.ts'
import type { Link } from './link.ts'
import type { Names } from './names.ts'
import { restMs, tierFor, waitHeaders } from './tiers.ts'
import { ownHeaders, positionOf, refusalOf, toWire, type WireMessage } from './wire.ts'

/** Where the messages of a channel go. */
export interface Route {
  readonly ordering: 'none' | 'per-key' | 'per-channel'
  readonly lanes: number
  /** It goes with the connection that made it: a message that comes too late is for nobody. */
  readonly isEphemeral: boolean
}

export interface PublisherOptions {
  readonly link: Link
  readonly clock: Clock
  readonly names: Names
  readonly messageBytesMax: number
  /** Milliseconds after which a message that was not confirmed is given up. */
  readonly patienceMs: number
  /** Undefined: there is no such channel. */
  readonly routeOf: (address: string) => Route | undefined | Promise<Route | undefined>
  /** Makes the queues that delayed messages wait in, once. */
  readonly beforeDelayed: () => Promise<void>
  readonly forgetRoute: (address: string) => void
  readonly onPublished: (record: OutgoingRecord, isDelayed: boolean) => void
}

export interface Publisher {
  publish(records: readonly OutgoingRecord[], signal?: AbortSignal): Promise<PublishResult[]>
  /** There is a connection again, or its alarm is over. */
  wake(): void
  /** Resolves when nothing is under way any more, or after `withinMs`. */
  idle(withinMs: number): Promise<void>
  close(): void
}

/** Messages and bytes that wait for their confirmation. */
const windowMax = 2000
const windowBytesMax = 33_554_432
const sweepMs = 250

/** One message on its way. */
interface Outgoing {
  readonly record: OutgoingRecord
  readonly wire: WireMessage
  readonly exchange: string
  readonly routingKey: string
  readonly position: string
  readonly isEphemeral: boolean
  readonly isDelayed: boolean
  readonly deadline: number
  wasSent: boolean
  readonly done: (result: PublishResult) => void
}

export function createPublisher(options: PublisherOptions): Publisher {
  return new QueuePublisher(options)
}

/** Sends in the order of the calls, and again in that order what was not confirmed when a connection ended. */
class QueuePublisher implements Publisher {
  readonly #options: PublisherOptions
  /** Unique to this process, so that a place never means two messages. */
  readonly #producer = randomBytes(6).toString('base64url')
  /** What the broker has refused once is not sent again. */
  #brokerBytesMax = Number.POSITIVE_INFINITY
  #numbers = 0
  #turns = 0
  #waiting: Outgoing[] = []
  #inFlight = new Set<Outgoing>()
  #bytes = 0
  #channel: ConfirmChannel | undefined
  #isOpening = false
  #isClosed = false
  #sweeper: TimerHandle | undefined

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  async publish(
    records: readonly OutgoingRecord[],
    signal?: AbortSignal,
  ): Promise<PublishResult[]> {
    signal?.throwIfAborted()
    const { routeOf, beforeDelayed } = this.#options
    if (records.some(({ deliverAt }) => deliverAt !== undefined)) await beforeDelayed()
    const routes = new Map<string, Route | undefined>()
    for (const { address } of records) {
      if (routes.has(address)) continue
      const route = routeOf(address)
      routes.set(address, route instanceof Promise ? await route : route)
    }
    const mine: Outgoing[] = []
    const results = records.map((record) => this.#enqueue(record, routes.get(record.address), mine))
    const onAbort = () => this.#abort(mine, signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    this.wake()
    this.#sweep()
    try {
      return await Promise.all(results)
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  #enqueue(
    record: OutgoingRecord,
    route: Route | undefined,
    mine: Outgoing[],
  ): PublishResult | Promise<PublishResult> {
    const { messageBytesMax, clock } = this.#options
    if (this.#isClosed) return { error: givenUp('BUS_CLOSED', record, 'the transport was closed') }
    const bytesMax = Math.min(messageBytesMax, this.#brokerBytesMax)
    const refusal = refusalOf(record, bytesMax)
    if (refusal !== undefined) return { error: tooLarge(record, refusal, bytesMax) }
    const at = Math.trunc(clock.now())
    this.#numbers += 1
    const place = `${this.#producer}.${this.#numbers.toString(36)}`
    const position = positionOf(at, place)
    // Nobody listens and nothing is kept: the late reply to a requester that has gone ends here.
    if (route === undefined) return { id: record.id, position }
    return new Promise((done) => {
      const outgoing: Outgoing = {
        record,
        ...this.#addressed(record, route, { at, place }),
        position,
        isEphemeral: route.isEphemeral,
        deadline: clock.monotonic() + this.#options.patienceMs,
        wasSent: false,
        done,
      }
      this.#waiting.push(outgoing)
      mine.push(outgoing)
    })
  }

  #addressed(record: OutgoingRecord, route: Route, { at, place }: { at: number; place: string }) {
    const { names } = this.#options
    const exchange = names.exchange(record.address)
    const routingKey = String(this.#laneOf(record, route))
    const until = record.deliverAt ?? 0
    const isDelayed = until > at + restMs / 2 && !route.isEphemeral
    const own = {
      [ownHeaders.place]: place,
      [ownHeaders.at]: String(at),
      ...(isDelayed ? waitHeaders({ exchange, routingKey, until }, at) : {}),
    }
    const wire = toWire(record, own)
    if (!isDelayed) return { wire, exchange, routingKey, isDelayed }
    return { wire, exchange: '', routingKey: names.wait(tierFor(until - at)), isDelayed }
  }

  #laneOf({ key }: OutgoingRecord, { ordering, lanes }: Route): number {
    if (ordering === 'per-channel') return 0
    if (key !== undefined) return laneOf(key, lanes)
    this.#turns += 1
    return this.#turns % lanes
  }

  wake(): void {
    const { link } = this.#options
    if (this.#isClosed || this.#waiting.length === 0 || !link.isUp || link.isBlocked) return
    if (this.#channel === undefined) void this.#open()
    else this.#pump(this.#channel)
  }

  async #open(): Promise<void> {
    if (this.#isOpening) return
    this.#isOpening = true
    const { link } = this.#options
    try {
      this.#channel = await link.channel((error) => this.#ended(error))
    } catch {
      // The link tells when there is a connection again, and the sweep tries too.
    } finally {
      this.#isOpening = false
    }
    if (this.#channel !== undefined) this.wake()
  }

  #pump(channel: ConfirmChannel): void {
    const messages: Publishing[] = []
    for (const outgoing of this.#waiting) {
      if (this.#inFlight.size >= windowMax || this.#bytes >= windowBytesMax) break
      this.#inFlight.add(outgoing)
      this.#bytes += outgoing.wire.content.length
      messages.push(this.#publishing(outgoing))
    }
    if (messages.length === 0) return
    this.#waiting = this.#waiting.slice(messages.length)
    try {
      publishAll(channel, messages)
    } catch {
      // The channel is over: they stay among what was not confirmed, which its end puts back.
    }
  }

  #publishing(outgoing: Outgoing): Publishing {
    const { exchange, routingKey, wire } = outgoing
    outgoing.wasSent = true
    return {
      exchange,
      routingKey,
      wire,
      confirmed: (error) => this.#confirmed(outgoing, error),
      unfit: () =>
        this.#end(outgoing, { error: tooLarge(outgoing.record, 'has headers that do not fit', 0) }),
    }
  }

  #confirmed(outgoing: Outgoing, error: unknown): void {
    if (!this.#inFlight.has(outgoing)) return
    const { record, position, isDelayed } = outgoing
    if (!error) {
      this.#end(outgoing, { id: record.id, position })
      this.#options.onPublished(record, isDelayed)
    } else if (/nacked/.test(String(error))) {
      this.#end(outgoing, {
        error: givenUp('PUBLISH_UNCONFIRMED', record, 'the broker refused to confirm it'),
      })
    } else return
    this.wake()
  }

  #end(outgoing: Outgoing, result: PublishResult): void {
    if (this.#inFlight.delete(outgoing)) this.#bytes -= outgoing.wire.content.length
    outgoing.done(result)
  }

  /** The channel is over: what was not confirmed goes again, before what came later. */
  #ended(error: Error | undefined): void {
    this.#channel = undefined
    const unconfirmed = [...this.#inFlight]
    this.#inFlight = new Set()
    this.#bytes = 0
    const bound = /message size .* larger than .*max size (\d+)/.exec(error?.message ?? '')
    if (bound !== null) this.#brokerBytesMax = Number(bound[1])
    const missing =
      channelCode(error) === 404 ? /exchange '([^']*)'/.exec(error?.message ?? '') : null
    this.#waiting = [...unconfirmed, ...this.#waiting].filter((outgoing) => {
      const { record, wire, exchange, done } = outgoing
      if (wire.content.length > this.#brokerBytesMax) {
        done({ error: tooLarge(record, 'is larger than the broker takes', this.#brokerBytesMax) })
      } else if (missing !== null && exchange === missing[1]) this.#gone(outgoing)
      else return true
      return false
    })
    this.wake()
  }

  #gone({ record, position, isEphemeral, done }: Outgoing): void {
    this.#options.forgetRoute(record.address)
    if (isEphemeral) {
      done({ id: record.id, position })
      return
    }
    const { address } = record
    done({
      error: new TreatyError('CHANNEL_NOT_FOUND', `the channel '${address}' is not there`, {
        hint: 'Start a process whose contract names the channel, with topology: create.',
        details: { address },
      }),
    })
  }

  #abort(mine: readonly Outgoing[], reason: unknown): void {
    const unsent = new Set(mine.filter(({ wasSent }) => !wasSent))
    this.#waiting = this.#waiting.filter((outgoing) => !unsent.has(outgoing))
    for (const { record, done } of unsent) {
      done({
        error: givenUp('PUBLISH_UNCONFIRMED', record, `it was called off: ${String(reason)}`),
      })
    }
  }

  /** Gives up what has waited for too long. */
  #sweep(): void {
    const { clock } = this.#options
    if (this.#sweeper !== undefined || this.#isClosed) return
    if (this.#waiting.length + this.#inFlight.size === 0) return
    this.#sweeper = clock.setTimeout(() => {
      this.#sweeper = undefined
      const now = clock.monotonic()
      for (const outgoing of this.#inFlight) if (outgoing.deadline <= now) this.#expire(outgoing)
      const late = this.#waiting.filter(({ deadline }) => deadline <= now)
      this.#waiting = this.#waiting.filter(({ deadline }) => deadline > now)
      for (const outgoing of late) this.#expire(outgoing)
      this.wake()
      this.#sweep()
    }, sweepMs)
  }

  #expire(outgoing: Outgoing): void {
    const { link, patienceMs } = this.#options
    const { record, wasSent } = outgoing
    const waited = `it waited ${patienceMs} ms`
    const error = link.isBlocked
      ? givenUp('BROKER_FULL', record, `the broker has an alarm for memory or disk, ${waited}`)
      : wasSent
        ? givenUp('PUBLISH_UNCONFIRMED', record, `no confirmation came, ${waited}`)
        : givenUp('BROKER_UNREACHABLE', record, `there is no connection, ${waited}`)
    this.#end(outgoing, { error })
  }

  async idle(withinMs: number): Promise<void> {
    const { clock } = this.#options
    const deadline = clock.monotonic() + withinMs
    while (this.#waiting.length + this.#inFlight.size > 0 && clock.monotonic() < deadline) {
      await delay(clock, 5)
    }
  }

  close(): void {
    this.#isClosed = true
    if (this.#sweeper !== undefined) this.#options.clock.clearTimeout(this.#sweeper)
    const left = [...this.#inFlight, ...this.#waiting]
    this.#waiting = []
    for (const outgoing of left) {
      const code = outgoing.wasSent ? 'PUBLISH_UNCONFIRMED' : 'BUS_CLOSED'
      this.#end(outgoing, { error: givenUp(code, outgoing.record, 'the transport was closed') })
    }
  }
}

function givenUp(
  code: 'PUBLISH_UNCONFIRMED' | 'BROKER_FULL' | 'BROKER_UNREACHABLE' | 'BUS_CLOSED',
  { id, address }: OutgoingRecord,
  why: string,
): TreatyError {
  return new TreatyError(code, `the message '${id}' was not published: ${why}`, {
    hint: 'Publish it again with the same id.',
    details: { id, address },
  })
}

function tooLarge(record: OutgoingRecord, what: string, max: number): TreatyError {
  return new TreatyError('MESSAGE_TOO_LARGE', `the message '${record.id}' ${what}`, {
    hint: 'Send a reference to the content instead of the content, or raise messageBytesMax.',
    details: { id: record.id, address: record.address, max },
  })
}
