import { describe, expect, test } from 'vitest'
import type { BusStats, DeadLetterSummary } from '../../messaging/index.ts'
import { createStyle } from '../style.ts'
import { countsText, deadText, fillTemplate, ledgerTable, restText, serviceText } from './lines.ts'

const style = createStyle({ isTerminal: false, noColor: true, environment: {} })
const row = {
  published: 10,
  deliveries: 20,
  handled: 18,
  skipped: 0,
  retried: 1,
  dead: 2,
  expired: 0,
  waiting: 0,
}

test('a template takes values from the data, and leaves out what is not there', () => {
  const data = { name: 'Study', total: { amount: 12 }, tags: ['a'] }
  expect(fillTemplate('{name}: {total.amount} {tags} {nope}', data)).toBe('Study: 12 ["a"] ')
  expect(fillTemplate('{__proto__} {constructor.name}', data)).toBe(' ')
})

test('the ledger shows each event and the sums, without columns that are zero everywhere', () => {
  const stats: BusStats = { ...row, byEvent: { 'order.placed': row }, rows: [] }
  expect(ledgerTable(stats, style).split('\n')).toEqual([
    '  event         published  deliveries  handled  retried  dead  waiting',
    '  order.placed         10          20       18        1     2        0',
    '  together             10          20       18        1     2        0',
  ])
  expect(countsText(stats)).toBe('10 published · 18 handled · 0 waiting · 1 retried · 2 dead')
})

test('a domain of many events is one row of the ledger, with its sums', () => {
  const many = Object.fromEntries(Array.from({ length: 13 }, (_, at) => [`github.e${at}`, row]))
  const stats: BusStats = { ...row, byEvent: { 'order.placed': row, ...many }, rows: [] }
  const lines = ledgerTable(stats, style).split('\n')
  expect(lines.length).toBe(4)
  expect(lines[2]).toMatch(/^ {2}github\.\* \(13 events\) +130 +260 +234 +13 +26 +0$/)
})

test('a ledger that was told before tells what has moved, and all together', () => {
  const before: BusStats = { ...row, byEvent: { 'order.placed': row, 'order.sent': row }, rows: [] }
  const sent = { ...row, published: 11 }
  const now: BusStats = { ...before, byEvent: { ...before.byEvent, 'order.sent': sent } }
  const text = restText({ stats: now, before, url: 'http://x' }, style)
  expect(text).not.toContain('order.placed')
  expect(text).toMatch(/order\.sent +11 .*\n +together +10 /)
  expect(text).toContain('At rest again')
})

describe('a line about', () => {
  test('a dead letter names the pointer of its first finding', () => {
    const letter = {
      reason: 'SCHEMA_MISMATCH',
      attempts: 0,
      findings: [{ code: 'X', severity: 'error', pointer: '/action', message: 'is not allowed' }],
    } as unknown as DeadLetterSummary
    expect(deadText(letter, style)).toBe('✗ dead: SCHEMA_MISMATCH /action is not allowed')
    expect(deadText({ ...letter, findings: [], attempts: 3, message: 'boom' }, style)).toBe(
      '✗ dead after 3 attempts: SCHEMA_MISMATCH boom',
    )
  })

  test('a service says what happened and when it comes back', () => {
    const service = 'billing'
    expect(serviceText({ kind: 'started', service, pid: 7, starts: 1 }, style)).toBe(
      '✓ started pid 7',
    )
    expect(serviceText({ kind: 'started', service, pid: 8, starts: 2 }, style)).toBe(
      '✓ started again pid 8, start 2',
    )
    expect(
      serviceText({ kind: 'ended', service, how: 'killed by SIGKILL', againInMs: 200 }, style),
    ).toBe('✗ ended: killed by SIGKILL, again in 200ms')
  })
})
