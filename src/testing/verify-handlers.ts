import { isDeepStrictEqual } from 'node:util'
import type { Consumer, Contract, EventDefinition } from '../contracts/index.ts'
import { producerView } from '../contracts/index.ts'
import { TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import type { Json } from '../core/json.ts'
import { boundaryValues } from './generate/boundary.ts'
import type { TestBus } from './test-bus.ts'
import { createTestBus } from './test-bus.ts'

/** Handlers by consumer, then by event, as they are given to `bus.consume`. */
export type HandlersByConsumer = Readonly<Record<string, Readonly<Record<string, unknown>>>>

export interface VerifyOptions {
  /** Seed of the messages that are made. Default 1. */
  readonly seed?: number
  /**
   * Delivers each message a second time, as a broker may, and reports where that changes something: what `state`
   * gives, or the number of messages that the handlers publish. Default false.
   */
  readonly twice?: boolean
  /** What the handlers have brought about so far, as JSON: rows, balances, calls. Compared with `twice`. */
  readonly state?: () => unknown
  /** How long one handler may really take, in milliseconds. Default 2000. */
  readonly timeoutMs?: number
}

export interface VerifyReport {
  /** True when no finding is an error. */
  readonly ok: boolean
  /** Messages that were handed to handlers. */
  readonly checked: number
  readonly findings: readonly Finding[]
}

interface Case {
  readonly what: string
  readonly data: Json
}

function casesOf(event: EventDefinition, seed: number): Case[] {
  const examples = event.examples.map((example) => example.value)
  const named = event.examples.map((example, at) => ({
    what: example.file === undefined ? `example ${at + 1}` : `the example ${example.file}`,
    data: example.value,
  }))
  const edges = boundaryValues(producerView(event.schema), seed, { examples })
  return [...named, ...edges.map(({ what, value }) => ({ what, data: value }))]
}

/** The contract as it is but for retries: what fails once need not be tried again to be known. */
function withoutRetries(contract: Contract): Contract {
  const consumers = Object.entries(contract.consumers).map(
    ([name, consumer]): [string, Consumer] => [
      name,
      { ...consumer, retry: { ...consumer.retry, attempts: 1 } },
    ],
  )
  return { ...contract, consumers: Object.fromEntries(consumers) }
}

interface Trial {
  readonly bus: TestBus
  readonly consumer: string
  readonly event: string
  readonly options: VerifyOptions
}

const finding = (trial: Trial, each: Case, message: string): Finding => ({
  code: 'HANDLER_FAILED',
  severity: 'error',
  event: trial.event,
  consumer: trial.consumer,
  message,
  hint: 'Make the handler cope with every message that the contract allows, or narrow the schema.',
  witness: each.data,
})

/** Hands one message to the handler and says what went wrong. */
async function tryCase(trial: Trial, each: Case): Promise<Finding | undefined> {
  const { bus, consumer, event, options } = trial
  const where = `the handler of "${consumer}" for "${event}" with ${each.what}`
  const before = (await bus.deadLetters(consumer)).length
  try {
    await bus.publish(event, each.data)
    await bus.settled({ realMs: options.timeoutMs ?? 2000 })
  } catch (error) {
    if (!(error instanceof TreatyError) || error.code !== 'NOT_SETTLED') throw error
    return finding(trial, each, `${where} does not return`)
  }
  const letters = await bus.deadLetters(consumer)
  const letter = letters.length > before ? letters.at(-1) : undefined
  if (letter) {
    const thrown = letter.errorClass === undefined ? '' : `${letter.errorClass}: `
    return finding(trial, each, `${where} fails: ${thrown}${letter.message ?? letter.reason}`)
  }
  return options.twice ? await tryAgain(trial, each, where) : undefined
}

/** The same message once more, past the recognition of duplicates, as after a lost acknowledgement. */
async function tryAgain(trial: Trial, each: Case, where: string): Promise<Finding | undefined> {
  const { bus, event, options } = trial
  const before = structuredClone(options.state?.())
  const publishedBefore = bus.published().length
  const last = bus.published(event as never).at(-1) as { id: string } | undefined
  if (!last) return undefined
  await republish(trial, last.id)
  await bus.settled({ realMs: options.timeoutMs ?? 2000 })
  const caused = bus.published().length - publishedBefore - 1
  const code = 'HANDLER_FAILED'
  if (!isDeepStrictEqual(before, structuredClone(options.state?.()))) {
    const message = `${where} changes the state again when the message comes twice`
    return { ...finding(trial, each, message), code, hint: idempotencyHint }
  }
  if (caused > 0) {
    const message = `${where} publishes again when the message comes twice`
    return { ...finding(trial, each, message), severity: 'warning', hint: idempotencyHint }
  }
  return undefined
}

const idempotencyHint =
  'Give the consumer idempotency in the contract, and make effects in context.commit or by key.'

async function republish({ bus, event }: Trial, id: string): Promise<void> {
  const record = bus.records(event).findLast((each) => each.id === id)
  if (!record) return
  const { dedupWindowMs: _, ...plain } = record
  await bus.transport.publish([plain])
}

/**
 * Replays every example of the contract, and messages at the edges of each schema (bounds, members of enums, absent
 * fields, empty and long arrays, short, long and foreign texts), through the handlers on a test bus. One finding
 * for each message on which a handler throws, dies or hangs, with the data as its witness.
 *
 * @throws CONSUMER_NOT_FOUND · HANDLER_MISSING · EVENT_NOT_LISTED where handlers and contract do not fit
 */
export async function verifyHandlers(
  contract: Contract,
  handlers: HandlersByConsumer,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const findings: Finding[] = []
  let checked = 0
  const lenient = withoutRetries(contract)
  for (const [consumer, table] of Object.entries(handlers)) {
    const events = Object.keys(contract.consumers[consumer]?.events ?? {})
    // A consumer that the contract does not know is refused by the bus, with a hint.
    for (const event of events.length === 0 ? [''] : events) {
      const bus = await createTestBus([lenient])
      try {
        await bus.consume(consumer as never, table as never)
        const definition = contract.events[event]
        if (!definition) continue
        const trial: Trial = { bus, consumer, event, options }
        for (const each of casesOf(definition, options.seed ?? 1)) {
          checked += 1
          const found = await tryCase(trial, each)
          if (found) findings.push(found)
          if (found?.message.endsWith('does not return')) break
        }
      } finally {
        await bus.close({ drainMs: 0 })
      }
    }
  }
  return { ok: findings.every((each) => each.severity !== 'error'), checked, findings }
}
