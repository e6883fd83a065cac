import { AsyncResource } from 'node:async_hooks'
import type { Message } from '../../contracts/index.ts'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import { TreatyError } from '../../core/errors.ts'
import { runWithMessageContext } from '../../core/trace.ts'
import type {
  BatchContext,
  BatchHandler,
  BatchOptions,
  Handler,
  HandlerContext,
  Outcome,
} from '../types.ts'
import { inheritedContext } from './handler-context.ts'

const sizeDefault = 100
const waitMsDefault = 25
const sizeMax = 10_000

/** `batch` as it was given, with its defaults. @throws OPTION_INVALID */
export function batchOptions(given: number | BatchOptions): Required<BatchOptions> {
  const { size = sizeDefault, waitMs = waitMsDefault } =
    typeof given === 'number' ? { size: given } : given
  const check = (name: string, value: number, [min, max]: readonly [number, number]) => {
    if (Number.isInteger(value) && value >= min && value <= max) return
    throw new TreatyError(
      'OPTION_INVALID',
      `the option batch.${name} is ${value}, expected a whole number from ${min} to ${max}`,
      {
        hint: `Give batch.${name} as a whole number from ${min} to ${max}.`,
        details: { option: `batch.${name}` },
      },
    )
  }
  check('size', size, [1, sizeMax])
  check('waitMs', waitMs, [0, 60_000])
  return { size, waitMs }
}

interface Item {
  readonly message: Message<unknown>
  readonly context: HandlerContext
  readonly ended: PromiseWithResolvers<Outcome | undefined>
}

/**
 * A handler of batches as a handler of messages: each message waits until its batch is full or has waited long enough, and is then settled
 * by what came of it. Where the batch throws, each of its messages is tried alone at once, so that one that cannot pass spoils
 * nobody else's attempt.
 */
export function oneByOne(
  handler: BatchHandler,
  options: Required<BatchOptions>,
  clock: Clock,
): Handler {
  let waiting: Item[] = []
  let timer: TimerHandle | undefined

  // Not in the context of the message that came last: a batch belongs to none of its messages.
  const flush = AsyncResource.bind(() => {
    if (timer !== undefined) clock.clearTimeout(timer)
    timer = undefined
    const items = waiting
    waiting = []
    if (items.length > 0) void runBatch(handler, items)
  })

  return (message, context) => {
    const ended = Promise.withResolvers<Outcome | undefined>()
    waiting.push({ message, context, ended })
    if (waiting.length >= options.size) flush()
    else timer ??= clock.setTimeout(flush, options.waitMs)
    return ended.promise as Promise<Outcome>
  }
}

async function runBatch(handler: BatchHandler, items: readonly Item[]): Promise<void> {
  try {
    const outcomes = await outcomesOf(handler, items)
    for (const [at, { ended }] of items.entries()) ended.resolve(outcomes[at])
  } catch (error) {
    const [only, ...others] = items
    if (only !== undefined && others.length === 0) {
      only.ended.reject(error)
      return
    }
    for (const item of items) await runBatch(handler, [item])
  }
}

/** One outcome for each message; undefined is an acknowledgement. */
async function outcomesOf(
  handler: BatchHandler,
  items: readonly Item[],
): Promise<readonly (Outcome | undefined)[]> {
  const result = await handler(
    items.map(({ message }) => message),
    batchContext(items),
  )
  if (!Array.isArray(result)) return items.map(() => (result as Outcome | undefined) ?? undefined)
  if (result.length === items.length) {
    return (result as readonly (Outcome | undefined)[]).map((one) => one ?? undefined)
  }
  throw new TreatyError(
    'OUTCOMES_MISMATCH',
    `the handler of a batch gave ${result.length} outcomes for ${items.length} messages`,
    { hint: 'Give one outcome for all of the batch, or one for each message in its order.' },
  )
}

function batchContext(items: readonly Item[]): BatchContext {
  const [first] = items as [Item]
  const { ack, retry, release, dead, drop, consumer } = first.context
  return {
    consumer,
    ack,
    retry,
    release,
    dead,
    drop,
    get signal() {
      return AbortSignal.any(items.map(({ context }) => context.signal))
    },
    each: items.map(({ message, context }) => ({
      ...context,
      get signal() {
        return context.signal
      },
      publish: (event, data, more) =>
        runWithMessageContext(inheritedContext(message as Message), () =>
          context.publish(event, data, more),
        ),
    })),
  }
}
