import { TreatyError } from '../../core/errors.ts'
import type { KnownConsumer } from '../catalogue.ts'
import { closestPattern, fitsPattern, isPattern } from '../event-pattern.ts'
import type { ConsumeOptions, Handler } from '../types.ts'

/**
 * The handlers of each contract that names the consumer, patterns resolved. A listed event without a handler, and a
 * handler for an event that is not listed, are mistakes of the program: found at start-up.
 *
 * @throws HANDLER_MISSING · EVENT_NOT_LISTED
 */
export function handlerTable(
  known: readonly KnownConsumer[],
  handlers: Readonly<Record<string, Handler>>,
): Readonly<Record<string, Handler>>[] {
  const name = known[0]?.consumer.name ?? ''
  const listed = new Set(known.flatMap(({ consumer }) => Object.keys(consumer.events)))
  const given = Object.keys(handlers)
  const patterns = given.filter(isPattern)
  const unlisted = given.filter((text) =>
    isPattern(text)
      ? text !== '*' && ![...listed].some((event) => fitsPattern(text, event))
      : !listed.has(text),
  )
  if (unlisted.length > 0) {
    throw new TreatyError(
      'EVENT_NOT_LISTED',
      `"${name}" has a handler for "${unlisted.join('", "')}", which its contract does not list`,
      {
        hint: `List the event under consumers.${name}.events, or remove the handler.`,
        details: { consumer: name, events: unlisted },
      },
    )
  }
  const nameFor = (event: string) =>
    Object.hasOwn(handlers, event) ? event : closestPattern(patterns, event)
  const missing = [...listed].filter((event) => nameFor(event) === undefined)
  if (missing.length > 0) {
    throw new TreatyError(
      'HANDLER_MISSING',
      `"${name}" listens to "${missing.join('", "')}" and has no handler for it`,
      {
        hint: "Give a handler for each listed event, or one for a pattern such as order.# or '*'.",
        details: { consumer: name, events: missing },
      },
    )
  }
  return known.map(({ consumer }) => {
    const table: Record<string, Handler> = Object.create(null)
    for (const event of Object.keys(consumer.events)) {
      const handler = handlers[nameFor(event) ?? '']
      if (handler) table[event] = handler
    }
    return table
  })
}

/** Handlers at work at the same time, at most. */
export const concurrencyMax = 10_000

/** @throws OPTION_INVALID */
export function checkConsumeOptions(options: ConsumeOptions): void {
  const { concurrency, prefetch } = options
  if (concurrency !== undefined && !inRange(concurrency, 1))
    throw invalid('concurrency', concurrency, 1)
  if (prefetch !== undefined && !inRange(prefetch, 0)) throw invalid('prefetch', prefetch, 0)
}

function inRange(value: number, min: number): boolean {
  return Number.isInteger(value) && value >= min && value <= concurrencyMax
}

function invalid(option: string, value: number, min: number): TreatyError {
  return new TreatyError(
    'OPTION_INVALID',
    `the option ${option} is ${value}, expected a whole number from ${min} to ${concurrencyMax}`,
    {
      hint: `Give ${option} as a whole number from ${min} to ${concurrencyMax}.`,
      details: { option },
    },
  )
}
