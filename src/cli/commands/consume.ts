import type { Message } from '../../contracts/index.ts'
import { isTreatyError, TreatyError } from '../../core/errors.ts'
import type {
  Bus,
  HandlerContext,
  Outcome,
  SettledEvent,
  Subscription,
} from '../../messaging/index.ts'
import { fitsPattern } from '../../messaging/index.ts'
import type { ArgumentsOf, Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { createAbandon } from '../consume/abandon.ts'
import { type ConsumeCounts, createCounts, noCounts } from '../consume/counts.ts'
import { runForMessage } from '../consume/exec.ts'
import { createGate } from '../consume/gate.ts'
import { untilIdle, untilReady } from '../consume/waiting.ts'
import { exitCode } from '../exit-code.ts'
import { withBus } from '../project.ts'
import { aborted, stopCode } from '../stopping.ts'
import { suggest } from '../suggest.ts'

const concurrencyDefault = 16
/** Below the 30 s that supervisors usually give a process to end. */
const drainMsDefault = 25_000

interface Data extends ConsumeCounts {
  readonly consumer: string
}
type Arguments = ArgumentsOf<CommandTable['consume']>

/** Hands the messages of a consumer to standard output, or to a command. */
export const consume: Command<CommandTable['consume'], Data> = {
  run: (args, context) =>
    withBus(
      context,
      (bus) => consumeFrom(bus, args, context),
      () => resultOf({ consumer: args.consumer, ...noCounts }),
    ),
}

async function consumeFrom(
  bus: Bus,
  args: Arguments,
  context: CommandContext,
): Promise<CommandResult<Data>> {
  checkNames(bus, args)
  const { consumer, max, idleExit } = args
  const counts = createCounts()
  const finished = new AbortController()
  const giveUp = new AbortController()
  const activity = { lastAt: context.clock.monotonic() }
  let announced: Promise<void> | undefined
  const announce = () => {
    announced ??= context.emit({ kind: 'ready', consumer }, ({ dim }) =>
      dim(`${consumer} is ready`),
    )
    return announced
  }
  const handle = createHandler(args, context, { finished, giveUp, activity, announce })
  const subscription = await bus.consume(
    consumer,
    { '*': handle },
    {
      concurrency: Math.min(
        args.concurrency ?? concurrencyDefault,
        max ?? Number.POSITIVE_INFINITY,
      ),
      onSettled(event) {
        activity.lastAt = context.clock.monotonic()
        counts.add(event)
        if (event.error) context.note(settledText(event))
      },
    },
  )
  const ending = AbortSignal.any([finished.signal, context.stopping])
  await untilReady(subscription, context.clock, ending)
  if (!ending.aborted) await announce()
  activity.lastAt = context.clock.monotonic()
  if (idleExit === undefined) await aborted(ending)
  else await untilIdle({ bus, consumer, idleMs: idleExit, activity, clock: context.clock, ending })
  await drain(subscription, args, context, giveUp)
  needCalmEnd(finished.signal)
  const isForced = context.aborting.aborted || giveUp.signal.aborted
  const code = isForced && context.stopping.aborted ? stopCode(context.stopping) : exitCode.ok
  return resultOf({ consumer, ...counts.read() }, code)
}

function resultOf(data: Data, code: number = exitCode.ok): CommandResult<Data> {
  return { exitCode: code, data, toText: () => summaryText(data) }
}

/** Stops intake and waits for what has begun; at the second signal, or at the deadline, it is given up. */
async function drain(
  subscription: Subscription,
  { drain: drainMs = drainMsDefault }: Arguments,
  context: CommandContext,
  giveUp: AbortController,
): Promise<void> {
  const timer = context.clock.setTimeout(() => giveUp.abort(), drainMs)
  const hurry = () => giveUp.abort()
  context.aborting.addEventListener('abort', hurry, { once: true })
  if (context.aborting.aborted) hurry()
  // A second more than our own deadline: handlers that were told to give up still release what they hold.
  await subscription.stop({ drainMs: drainMs + 1000 })
  context.clock.clearTimeout(timer)
}

/** A reader that has gone is a way to end; anything else that ended the writing is not. */
function needCalmEnd({ reason }: AbortSignal): void {
  if (reason === undefined || reason === isFull) return
  if (!isTreatyError(reason) || reason.code !== 'OUTPUT_CLOSED') throw reason
}

/** Why it ended: as many as --max says. */
const isFull = 'full'

interface Parts {
  readonly finished: AbortController
  readonly giveUp: AbortController
  readonly activity: { lastAt: number }
  /** Says that the consumer is ready; before the first message, which shows that it is. */
  readonly announce: () => Promise<void>
}

function createHandler(args: Arguments, context: CommandContext, parts: Parts) {
  const { finished, giveUp, activity, announce } = parts
  const { events } = args
  const gate = createGate(args.max)
  // A reader that does not read must not hold the end up.
  const abandon = createAbandon(giveUp.signal)

  return async (
    message: Message<unknown>,
    handling: HandlerContext,
  ): Promise<Outcome | undefined> => {
    if (events?.some((pattern) => fitsPattern(pattern, message.type)) === false) return undefined
    if (!(await gate.enter())) return handling.release()
    activity.lastAt = context.clock.monotonic()
    let isDone = false
    try {
      await abandon.race(announce())
      const failure =
        args.exec === undefined
          ? undefined
          : await execute(args.exec, message, handling, { context, giveUp: giveUp.signal })
      if (failure) return failure
      await abandon.race(writeOut(message, handling.attempt, context))
      isDone = true
      return undefined
    } catch (error) {
      // What could not be written out was not handled; that says nothing about the message, nor will the next fare better.
      if (!giveUp.signal.aborted) finished.abort(error)
      return handling.release()
    } finally {
      gate.leave(isDone)
      if (gate.isFull()) finished.abort(isFull)
    }
  }
}

function writeOut(
  message: Message<unknown>,
  attempt: number,
  context: CommandContext,
): Promise<void> {
  const { id, type, data } = message
  return context.emit({ kind: 'message', id, event: type, attempt, data }, ({ bold, dim }) =>
    [
      dim(message.timestamp),
      bold(type),
      dim(id),
      attempt > 1 ? `attempt ${attempt}` : '',
      JSON.stringify(data),
    ]
      .filter((part) => part !== '')
      .join('  '),
  )
}

/** Runs the command for a message: nothing when it succeeded, else what becomes of the message. */
async function execute(
  command: string,
  message: Message<unknown>,
  handling: HandlerContext,
  { context, giveUp }: { readonly context: CommandContext; readonly giveUp: AbortSignal },
): Promise<Outcome | undefined> {
  const signal = AbortSignal.any([handling.signal, giveUp])
  const ended = await runForMessage(command, {
    input: `${JSON.stringify(message)}\n`,
    cwd: context.cwd,
    environment: {
      ...context.environment,
      TREATY_MESSAGE_ID: message.id,
      TREATY_EVENT: message.type,
      TREATY_ATTEMPT: String(handling.attempt),
    },
    signal,
  })
  if (ended.ok) return undefined
  return signal.aborted ? handling.release() : handling.retry({ reason: ended.reason })
}

function settledText({
  event,
  messageId,
  attempt,
  outcome,
  error,
  retryAfterMs,
}: SettledEvent): string {
  const next = retryAfterMs === undefined ? outcome : `again in ${Math.round(retryAfterMs)} ms`
  return `${event}  ${messageId}  attempt ${attempt}: ${error?.message ?? ''}, ${next}`
}

function summaryText(data: Data): string {
  const parts = [`${data.handled} handled`]
  for (const name of ['retried', 'dead', 'released', 'skipped'] as const) {
    if (data[name] > 0) parts.push(`${data[name]} ${name}`)
  }
  return `${data.consumer}: ${parts.join(', ')}`
}

/** @throws CONSUMER_NOT_FOUND · EVENT_NOT_LISTED */
function checkNames(bus: Bus, { consumer, events = [] }: Arguments): void {
  const named = bus.contracts.flatMap((contract) => Object.values(contract.consumers))
  const own = named.filter(({ name }) => name === consumer)
  if (own.length === 0) {
    const names = [...new Set(named.map(({ name }) => name))]
    throw new TreatyError('CONSUMER_NOT_FOUND', `no contract names the consumer ${consumer}`, {
      hint: suggest(consumer, names) ?? 'Look with treaty contract show.',
      details: { consumer },
    })
  }
  const listed = own.flatMap(({ events: entries }) => Object.keys(entries))
  for (const event of events) {
    if (listed.some((name) => fitsPattern(event, name))) continue
    throw new TreatyError(
      'EVENT_NOT_LISTED',
      `the contract does not list ${event} for ${consumer}`,
      {
        hint: suggest(event, listed) ?? 'Look with treaty contract show.',
        details: { consumer, event },
      },
    )
  }
}
