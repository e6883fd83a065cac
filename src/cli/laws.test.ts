import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readInvocation } from './invocation.ts'
import { createMasker } from './masking.ts'
import { readLines } from './read-input.ts'

describe('laws of the command line', () => {
  it('lines are the same however the input is cut into chunks', async () => {
    const signal = new AbortController().signal
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.string({ unit: 'binary' }).map((text) => text.replaceAll(/[\r\n]/g, '')),
          { maxLength: 8 },
        ),
        fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 5 }),
        async (texts, cuts) => {
          const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''))
          async function* chunks(): AsyncGenerator<Uint8Array> {
            for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
              const size = cuts[turn % cuts.length] ?? 1
              yield bytes.subarray(at, at + size)
              at += size
            }
          }
          const lines: string[] = []
          for await (const line of readLines(chunks(), { bytesMax: 1_000_000, signal })) {
            expect(line.number).toBe(lines.length + 1)
            lines.push(line.bytes.toString())
          }
          expect(lines).toEqual(
            Buffer.from(texts.join('\n')).toString().split('\n').slice(0, texts.length),
          )
        },
      ),
    )
  })

  it('masked text holds no secret, wherever it stands', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 4 }),
        fc.string(),
        fc.string(),
        (secret, before, after) => {
          fc.pre(!'[secret]'.includes(secret) && !secret.includes('[secret]'))
          const masker = createMasker()
          masker.add(secret)
          const masked = masker.mask(`${before}${secret}${after}`)

          return !masked.replaceAll('[secret]', '\u0000').includes(secret)
        },
      ),
    )
  })

  it('any command line is understood or refused as wrong use, never anything else', () => {
    const word = fc.oneof(
      fc.constantFrom(
        'dead',
        'list',
        'check',
        '--json',
        '--contracts',
        '-',
        '--',
        '--help',
        'consume',
        '--max=3',
      ),
      fc.string(),
    )
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        try {
          return ['version', 'help', 'command'].includes(readInvocation(argv).kind)
        } catch (error) {
          return (error as { code?: string }).code === 'USAGE'
        }
      }),
    )
  })
})
