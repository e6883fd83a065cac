import type { Message, RetryPolicy } from '../../contracts/index.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Random } from '../../core/random.ts'
import { runWithMessageContext } from '../../core/trace.ts'
import type {
  Delivery,
  SettleResult,
  TransactionEffect,
  TransactionHandle,
  Transport,
  TransportSubscription,
} from '../transport.ts'
import type {
  ConsumeOptions,
  Handler,
  Outcome,
  Published,
  PublishOptions,
  Subscription,
} from '../types.ts'
import type { Completion, HandledMessage } from './completion.ts'
import type { Decision } from './decision.ts'
import { ack, afterError, afterOutcome, dead, release, unseen } from './decision.ts'
import type { ContextOptions, RunningContext } from './handler-context.ts'
import { createHandlerContext, inheritedContext } from './handler-context.ts'
import type { IdempotencyGuard } from './idempotency.ts'
import type { Reader } from './reader.ts'
import type { Settler } from './settler.ts'
import { createSettler } from './settler.ts'

export interface WorkerOptions {
  readonly transport: Transport
  readonly group: string
  readonly consumer: string
  readonly retry: RetryPolicy
  readonly reader: Reader
  readonly guard: IdempotencyGuard | undefined
  /** What precedes the acknowledgement where the broker has no transactions; undefined where it has. */
  readonly completion?: Completion | undefined
  /** False: neither the broker nor a database of the caller's has a transaction that an effect could join. */
  readonly takesEffects: boolean
  readonly handlerOf: (type: string) => Handler | undefined
  readonly publish: (event: string, data: unknown, options?: PublishOptions) => Promise<Published>
  readonly clock: Clock
  readonly random: Random
  readonly onError: (error: TreatyError) => void
  readonly consume: ConsumeOptions
  /** Told once, when nothing of it is left. */
  readonly onStopped?: () => void
}

/** A delivery that may run. */
interface Ready {
  readonly delivery: Delivery
  readonly message: Message
  readonly inboxKey: string | undefined
}

/** One handler at work. */
interface Run {
  readonly ready: Ready
  readonly context: RunningContext
  readonly startedAt: number
  /** The deadline came first: what it does now changes nothing. */
  isAbandoned: boolean
}

/** A decision on its way to the broker. */
interface Settling extends Decision {
  readonly elapsedMs: number
  /** It makes room for another delivery. */
  readonly givesCredit: boolean
}

/** A subscription as the bus sees it. */
export interface StartedWorker extends Subscription {
  /** Another process has our work: tells the handlers, whose settlements will be refused. */
  leasesLost(): void
}

const concurrencyDefault = 16
const drainMsDefault = 30_000
/** Milliseconds until a message comes again whose database was away. */
const awayMs = 1000
/** What a stop gives the broker to take the last settlements, also where the drain has used up its time. */
const settleMsMin = 1000

/**
 * Runs the handlers of one group in this process: reads, guards against repeats, runs at most
 * `concurrency` handlers, and settles each delivery by what its handler did.
 */
export async function startWorker(options: WorkerOptions): Promise<StartedWorker> {
  const worker = new Worker(options)
  await worker.start()
  return worker
}

/** State of one subscription; a class because its parts share that state in every step. */
class Worker implements StartedWorker {
  readonly #options: WorkerOptions
  readonly #settler: Settler<Settling>
  readonly #contextOptions: ContextOptions
  readonly #concurrency: number
  readonly #runs = new Set<Run>()
  #subscription: TransportSubscription | undefined
  #queue: Ready[] = []
  #head = 0
  #isPaused = false
  #isPumping = false
  #isStopping = false
  #onIdle: (() => void) | undefined
  #intake = Promise.resolve()
  #stopped: Promise<void> | undefined

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#concurrency = options.consume.concurrency ?? concurrencyDefault
    const { consumer, publish, takesEffects } = options
    this.#contextOptions = { consumer, publish, takesEffects }
    this.#settler = createSettler({
      ...options,
      onSent: (items) => this.#giveCredit(items),
      onDone: (item, result) => this.#settled(item, result),
    })
  }

  async start(): Promise<void> {
    const { consume, group, transport } = this.#options
    const { replica, signal, prefetch = this.#concurrency } = consume
    this.#subscription = await transport.subscribe(
      {
        group,
        ...(replica === undefined ? {} : { replica }),
        onLost: (deliveries) => this.#lost(deliveries),
      },
      (deliveries) => this.#arrive(deliveries),
    )
    this.#subscription.grant(this.#concurrency + prefetch)
    signal?.addEventListener('abort', () => void this.stop(), { once: true })
  }

  get consumer(): string {
    return this.#options.consumer
  }
  get isReady(): boolean {
    return this.#subscription?.isReady ?? false
  }
  pause(): void {
    this.#isPaused = true
    this.#subscription?.pause()
  }
  resume(): void {
    this.#isPaused = false
    this.#subscription?.resume()
    this.#pump()
  }
  stop(options: { drainMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#drain(options.drainMs ?? drainMsDefault)
    return this.#stopped
  }

  leasesLost(): void {
    const { consumer } = this.#options
    this.#abortRuns(
      new TreatyError('LEASES_LOST', `the work of "${consumer}" was handed to another process`),
    )
  }

  /** Their outcome counts for nothing any more; who looks at the signal can stop. */
  #lost(deliveries: readonly Delivery[]): void {
    const leases = new Set(deliveries.map(({ lease }) => lease))
    for (const run of this.#runs) {
      if (!leases.has(run.ready.delivery.lease)) continue
      const { id } = run.ready.delivery.record
      run.context.abort(
        new TreatyError('LEASES_LOST', `the message "${id}" was handed to another process`),
      )
    }
  }

  #abortRuns(reason: TreatyError): void {
    for (const run of this.#runs) run.context.abort(reason)
  }

  #arrive(deliveries: readonly Delivery[]): void {
    if (this.#options.guard) {
      // In the order of arrival: a later batch must not overtake one that is being looked up.
      this.#intake = this.#intake.then(() => this.#arriveGuarded(deliveries))
      return
    }
    for (const delivery of deliveries) this.#take(delivery)
    this.#pump()
  }

  async #arriveGuarded(deliveries: readonly Delivery[]): Promise<void> {
    const { guard, reader, onError } = this.#options
    try {
      const verdicts = (await guard?.look(deliveries, reader)) ?? []
      deliveries.forEach((delivery, at) => {
        const verdict = verdicts[at] ?? 'new'
        if (typeof verdict === 'object') this.#settle(release(delivery, verdict.afterMs))
        else if (verdict === 'done') this.#settle(unseen(delivery, 'duplicate'))
        else this.#take(delivery)
      })
    } catch (error) {
      onError(asKnown(error))
      for (const delivery of deliveries) this.#settle(release(delivery, 1000))
    }
    this.#pump()
  }

  #take(delivery: Delivery): void {
    const { guard, reader } = this.#options
    if (this.#isStopping) {
      this.#settle(release(delivery))
      return
    }
    const reading = reader.read(delivery)
    if ('failure' in reading) this.#settle(dead(delivery, reading.failure))
    else if (reading.skip) this.#settle(unseen(delivery, 'skipped'))
    else {
      const inboxKey = guard && reader.idempotencyKey(reading.message)
      this.#queue.push({ delivery, message: reading.message, inboxKey })
    }
  }

  #pump(): void {
    // A handler that ends at once comes back here from inside the loop: the loop goes on by itself.
    if (this.#isPumping) return
    this.#isPumping = true
    while (!this.#isPaused && this.#runs.size < this.#concurrency) {
      const next = this.#queue[this.#head]
      if (!next) break
      this.#head += 1
      this.#run(next)
    }
    this.#isPumping = false
    if (this.#head > 1024 || this.#head === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    if (this.#runs.size === 0) this.#onIdle?.()
  }

  #run(ready: Ready): void {
    const { delivery, message } = ready
    const { clock, consumer, handlerOf } = this.#options
    const handler = handlerOf(message.type)
    if (!handler) {
      const text = `"${consumer}" has no handler for "${message.type}"`
      this.#settle(dead(delivery, { reason: 'HANDLER_MISSING', message: text }))
      return
    }
    const context = createHandlerContext(delivery, this.#contextOptions)
    const run: Run = { ready, context, startedAt: clock.monotonic(), isAbandoned: false }
    this.#runs.add(run)
    try {
      const result = runWithMessageContext(inheritedContext(message), () =>
        handler(message, context),
      )
      if (result instanceof Promise) {
        result.then(
          (outcome) => this.#ended(run, outcome ?? undefined),
          (error: unknown) => this.#ended(run, undefined, { error }),
        )
      } else this.#ended(run, result ?? undefined)
    } catch (error) {
      this.#ended(run, undefined, { error })
    }
  }

  #ended(run: Run, outcome: Outcome | undefined, thrown?: { error: unknown }): void {
    const { ready, context } = run
    if (thrown) this.#finish(run, this.#afterError(ready.delivery, thrown.error))
    else if (outcome && outcome.outcome !== 'ack')
      this.#finish(run, afterOutcome(ready.delivery, outcome, this.#options))
    else if (!run.isAbandoned && this.#options.completion?.isNeeded(handledOf(run)) === true)
      void this.#complete(run, this.#options.completion)
    else this.#finish(run, this.#acknowledge(ready, context))
  }

  /** Its effects and its key first, then the acknowledgement: should that be lost, the key says that it is done. */
  async #complete(run: Run, completion: Completion): Promise<void> {
    const { delivery } = run.ready
    try {
      const isOurs = await completion.complete(handledOf(run))
      this.#finish(run, isOurs ? ack(delivery) : unseen(delivery, 'duplicate'))
    } catch (error) {
      // A database that is away says nothing about the message.
      const isAway = isTreatyError(error) && error.code.startsWith('STORE_')
      this.#finish(run, isAway ? release(delivery, awayMs) : this.#afterError(delivery, error))
    }
  }

  #finish(run: Run, decision: Decision): void {
    this.#runs.delete(run)
    if (run.isAbandoned) return
    this.#settle(decision, this.#options.clock.monotonic() - run.startedAt)
    this.#options.guard?.finished(run.ready.inboxKey)
    this.#pump()
  }

  /** During a shutdown anything may fail; that says nothing about the message. */
  #afterError(delivery: Delivery, error: unknown): Decision {
    return this.#isStopping ? release(delivery) : afterError(delivery, error, this.#options)
  }

  #acknowledge(ready: Ready, context: RunningContext): Decision {
    const { effects } = context
    const { guard } = this.#options
    const { delivery, inboxKey } = ready
    const row = guard && inboxKey !== undefined ? { inbox: guard.inboxRow(inboxKey) } : undefined
    if (effects.length === 0) return ack(delivery, row)
    return ack(delivery, { ...row, effect: (tx) => runEffects(effects, tx) })
  }

  /** Settles, gives the credit back, and tells who listens. */
  #settle({ settlement, told }: Decision, elapsedMs = 0): void {
    this.#settler.settle({ settlement, told, elapsedMs, givesCredit: !this.#isStopping })
  }

  /** All of a turn at once: each grant makes the broker look whether there is more. */
  #giveCredit(items: readonly Settling[]): void {
    if (this.#isStopping) return
    let count = 0
    for (const { givesCredit } of items) if (givesCredit) count += 1
    if (count > 0) this.#subscription?.grant(count)
  }

  #settled({ settlement, told, elapsedMs }: Settling, result: SettleResult): void {
    const { delivery } = settlement
    if (!result.ok && result.reason === 'error') {
      // The effect threw and its transaction is rolled back: the attempt failed like any other.
      const next = this.#afterError(delivery, result.error)
      this.#settler.settle({ ...next, elapsedMs, givesCredit: false })
      return
    }
    this.#options.consume.onSettled?.({
      ...told,
      ...(result.ok ? {} : { outcome: 'lost' as const }),
      consumer: this.#options.consumer,
      messageId: delivery.record.id,
      event: delivery.record.type,
      attempt: delivery.attempt,
      elapsedMs,
    })
  }

  async #drain(drainMs: number): Promise<void> {
    const { clock } = this.#options
    const startedAt = clock.monotonic()
    this.#isStopping = true
    this.#releaseQueue()
    await this.#subscription?.stop()
    await this.#intake
    this.#releaseQueue()
    if (this.#runs.size > 0) await this.#awaitRuns(drainMs)
    for (const run of this.#runs) {
      run.isAbandoned = true
      this.#settle(release(run.ready.delivery))
    }
    await this.#flush(drainMs - (clock.monotonic() - startedAt))
    this.#options.onStopped?.()
  }

  /** A broker that takes no settlement (disk full) must not hold the end up: what is left goes back with its lease. */
  async #flush(leftMs: number): Promise<void> {
    const { clock } = this.#options
    const timer = clock.setTimeout(() => this.#settler.giveUp(), Math.max(settleMsMin, leftMs))
    await this.#settler.flush()
    clock.clearTimeout(timer)
    this.#settler.giveUp()
  }

  #releaseQueue(): void {
    const rest = this.#queue.slice(this.#head)
    this.#queue = []
    this.#head = 0
    for (const { delivery, inboxKey } of rest) {
      this.#settle(release(delivery))
      this.#options.guard?.finished(inboxKey)
    }
  }

  /** Waits for handlers; shortly before the deadline their signals abort. */
  async #awaitRuns(drainMs: number): Promise<void> {
    const { clock, consumer } = this.#options
    const stopping = new TreatyError('HANDLER_ABORTED', `"${consumer}" is being stopped`)
    if (drainMs <= 0) {
      this.#abortRuns(stopping)
      return
    }
    const timers: TimerHandle[] = []
    const graceMs = Math.min(1000, drainMs / 4)
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve
      const abort = () => this.#abortRuns(stopping)
      timers.push(clock.setTimeout(abort, drainMs - graceMs), clock.setTimeout(resolve, drainMs))
    })
    for (const timer of timers) clock.clearTimeout(timer)
    this.#onIdle = undefined
  }
}

function handledOf({ ready, context }: Run): HandledMessage {
  return { id: ready.delivery.record.id, inboxKey: ready.inboxKey, effects: context.effects }
}

function asKnown(error: unknown): TreatyError {
  if (isTreatyError(error)) return error
  return new TreatyError('TRANSPORT_FAILED', errorMessage(error), { cause: error })
}

/** One after another; a promise only where one of them gives one. */
function runEffects(
  effects: readonly TransactionEffect[],
  tx: TransactionHandle,
): void | Promise<void> {
  for (const [index, effect] of effects.entries()) {
    const running = effect(tx)
    if (running instanceof Promise) {
      return running.then(() => runEffects(effects.slice(index + 1), tx))
    }
  }
}
