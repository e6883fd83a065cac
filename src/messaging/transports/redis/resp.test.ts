import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeCommand } from './resp.ts'

/** What a server takes out of an array of bulk strings, as text; undefined for anything else. */
function partsOf(bytes: Buffer): string[] | undefined {
  const text = bytes.toString('latin1')
  const parts: string[] = []
  const [, count] = /^\*(\d+)\r\n/.exec(text) ?? []
  let at = text.indexOf('\n') + 1
  for (let left = Number(count); left > 0; left -= 1) {
    const start = text.indexOf('\r\n', at) + 2
    const end = start + Number(text.slice(at + 1, start - 2))
    if (text[at] !== '$' || text.slice(end, end + 2) !== '\r\n') return undefined
    parts.push(text.slice(start, end))
    at = end + 2
  }
  return at === text.length ? parts : undefined
}

describe('a command as bytes', () => {
  it('holds every argument as it is, whatever its characters and its length', () => {
    const text = fc.string({ unit: 'grapheme-composite', maxLength: 40 })
    const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each))
    const number = fc.integer({ min: -9_000_000_000, max: 9_000_000_000 })
    fc.assert(
      fc.property(fc.array(fc.oneof(text, bytes, number), { maxLength: 20 }), (parts) => {
        const expected = parts.map((part) =>
          (Buffer.isBuffer(part) ? part : Buffer.from(String(part))).toString('latin1'),
        )
        expect(partsOf(encodeCommand(parts))).toEqual(expected)
      }),
    )
  })
})
