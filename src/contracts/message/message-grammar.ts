import type { Priority } from './message.ts'

const typePattern = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/

/** The type of the message that carries other messages; the only one without a domain. */
export const batchType = 'batch'

/** True for a type as events are named: lower-case words joined by dots, `domain.action`. */
export function isMessageType(text: string): boolean {
  return typePattern.test(text)
}

/** What stands before the first dot: `agent` of `agent.created`. */
export function domainOf(type: string): string {
  return type.split('.', 1)[0] as string
}

/** The version that a message without `metadata.schema_version` was written against. */
export const schemaVersionDefault = '1.0'

const priorities: Readonly<Record<string, Priority>> = {
  low: 'low',
  normal: 'normal',
  medium: 'normal',
  high: 'high',
  critical: 'critical',
  0: 'low',
  1: 'low',
  2: 'normal',
  3: 'normal',
  4: 'high',
  5: 'critical',
}

/** Every way to write a priority: our four, `medium` for `normal`, and the integers 0 (low) to 5 (critical). */
export const priorityValues: readonly (string | number)[] = [
  'low',
  'normal',
  'medium',
  'high',
  'critical',
  0,
  1,
  2,
  3,
  4,
  5,
]

/** The level that `metadata.priority` means, aliases resolved; undefined for anything else. */
export function normalizePriority(value: unknown): Priority | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined
  return priorityValues.includes(value) ? priorities[value] : undefined
}
