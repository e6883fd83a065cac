import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { headerBlock, headerValue, readHeaders } from './wire-headers.ts'

/** As the client splits a block. */
function linesOf(block: Uint8Array): [string, string][] {
  const [first, ...lines] = Buffer.from(block).toString().split('\r\n')
  expect(first).toBe('NATS/1.0')
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const at = line.indexOf(':')
      return [line.slice(0, at), line.slice(at + 1).trim()]
    })
}

describe('headers of NATS', () => {
  it('come back as they were, whatever text they hold', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((each) => each.isWellFormed())
    const name = text.filter((each) => each !== '' && each !== 'treaty-id')
    fc.assert(
      fc.property(fc.dictionary(name, text, { noNullPrototype: true }), (headers) => {
        const sent = { 'treaty-id': 'm1', ...headers }
        expect(readHeaders(linesOf(headerBlock(sent)))).toEqual(sent)
      }),
    )
  })

  it('are one line of ASCII each', () => {
    expect(headerValue('a b; c="d"')).toBe('a b; c="d"')
    expect(headerValue(' é\r\n100%')).toMatch(/^[\x21-\x7e]+$/)
  })

  it('never become orders to the server', () => {
    const lines = linesOf(headerBlock({ 'treaty-id': '1', 'Nats-Rollup': 'all' }))
    expect(lines.some(([name]) => /^nats-/i.test(name))).toBe(false)
    expect(readHeaders(lines)['Nats-Rollup']).toBe('all')
  })

  it('of other programs are taken as they are, those of CloudEvents as their binding says', () => {
    const lines: [string, string][] = [
      ['Ce-Type', 'order%20placed'],
      ['X-Discount', '100%25'],
      ['Content-Type', 'text/plain'],
      ['Nats-Msg-Id', 'm1'],
    ]
    expect(readHeaders(lines)).toEqual({
      'ce-type': 'order placed',
      'X-Discount': '100%25',
      'content-type': 'text/plain',
    })
  })
})
