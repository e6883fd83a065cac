import { describe, expect, it } from 'vitest'
import type { TreatyError } from '../../core/errors.ts'
import { compileFilter, type FilterMessage, filterFindings } from './filter.ts'

const message = (data: unknown, more: Partial<FilterMessage> = {}): FilterMessage => ({
  event: 'order.placed',
  id: 'm-1',
  data,
  key: 'o-1',
  source: 'shop',
  timestamp: '2026-01-01T00:00:00Z',
  correlationId: null,
  metadata: {},
  ...more,
})
const judged = (expression: string, data: unknown = {}, more?: Partial<FilterMessage>) =>
  compileFilter(expression).judge(message(data, more))

const whyNot = (expression: string) => refusal(expression).findings[0]?.message

function refusal(expression: string): TreatyError {
  try {
    compileFilter(expression)
  } catch (error) {
    return error as TreatyError
  }
  throw new Error('it compiled')
}

describe('a filter', () => {
  it('sees event, data, key, source, metadata and the ids of a message', () => {
    const data = { total: 120.5, lines: [{ sku: 'a' }, { sku: 'b' }], note: null }
    const holds = [
      'data.total > 100',
      'data.total > 100.0 && source == "shop"',
      'event == "order.placed" && id == "m-1" && key == "o-1"',
      'event.startsWith("order.")',
      'data.lines.exists(line, line.sku == "b")',
      'size(data.lines) == 2 && data.note == null',
      '!has(data.missing)',
      'data.?missing.orValue("x") == "x"',
      'data.lines[0].sku in ["a", "z"]',
      'data.lines[0].sku.matches("^[a-z]$")',
      'timestamp(timestamp).getFullYear() == 2026',
      'metadata.priority == "high" && correlationId == "c-1"',
    ]
    for (const expression of holds) {
      const more = { metadata: { priority: 'high' }, correlationId: 'c-1' }
      expect([expression, judged(expression, data, more)]).toEqual([expression, { passes: true }])
    }
    expect(judged('data.total > 200', data)).toEqual({ passes: false })
  })

  it('that does not compile says what, where, and what next', () => {
    const error = refusal('evnt == "order.placed"')
    expect(error.code).toBe('WEBHOOK_FILTER_INVALID')
    expect(error.message).toBe('`evnt == "order.placed"` is no filter')
    expect(error.findings[0]).toMatchObject({ pointer: '/filter', severity: 'error' })
    expect(error.findings[0]?.message).toBe(
      'the filter does not compile at character 1: unknown variable: evnt',
    )
    expect(error.findings[0]?.hint).toContain('event, id, data')
    expect(refusal('data.total >').findings[0]?.frame).toBe('data.total >\n            ^')
    expect(whyNot('event == 3')).toContain('string == int')
    expect(whyNot('size(data)')).toContain('it gives int, not true or false')
    expect(whyNot('foo(data)')).toContain('foo')
    expect(refusal('').code).toBe('WEBHOOK_FILTER_INVALID')
  })

  it('that is too large is refused before it is parsed', () => {
    expect(filterFindings('x'.repeat(5000))[0]?.message).toContain('longer than 4000')
    expect(whyNot(Array(400).fill('true').join('&&'))).toContain('maxAstNodes')
    expect(whyNot(`${'('.repeat(60)}true${')'.repeat(60)}`)).toContain('maxDepth')
  })

  it('that fails on a message says why and throws nothing', () => {
    expect(judged('data.total > 100')).toEqual({
      failure: 'the filter failed: no such key: total',
    })
    expect(judged('data.total > 100', null)).toHaveProperty('failure')
    expect(judged('data.flag', { flag: 'yes' })).toEqual({
      failure: 'the filter gave a string, not true or false',
    })
    expect(judged('event.matches("[")')).toHaveProperty('failure')
    for (const name of ['constructor', '__proto__', 'toString']) {
      expect(judged(`has(data.${name}) || data.${name} == null`)).toHaveProperty('failure')
    }
  })

  it('that would take for ever is ended: a pattern that backtracks, a search within searches', () => {
    const slow = { failure: 'the filter took longer than 50 ms' }
    expect(judged('data.text.matches("^(a+)+$")', { text: `${'a'.repeat(50)}!` })).toEqual(slow)
    const list = Array.from({ length: 3000 }, (_, at) => at)
    expect(judged('data.all(a, data.all(b, data.exists(c, c > a + b)))', list)).toEqual(slow)
    expect(judged('data.exists(a, a > 2998)', list)).toEqual({ passes: true })
  })
})
