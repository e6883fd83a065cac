import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { parseLines, runCaptured } from './captured-run.ts'
import { Sender } from './publish/sender.ts'
import { type InputLine, readLines } from './read-input.ts'
import { sampleOrder, sampleProject } from './sample-project.ts'

const order = (id: string, amount?: number) => JSON.stringify(sampleOrder(id, amount))

async function publish(cwd: string, input: string | AsyncIterable<Uint8Array>, ...more: string[]) {
  const argv = ['publish', 'order.placed', '--data', '-', ...more, '--json']
  const { code, out } = await runCaptured(argv, { cwd, input })
  return { code, lines: parseLines(out) }
}

describe('treaty publish', () => {
  it('prints a line after the acknowledgement and ends with a summary', async () => {
    const { code, lines } = await publish(sampleProject(), order('a'))

    expect(code).toBe(0)
    expect(lines).toEqual([
      {
        kind: 'published',
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        position: expect.any(String),
      },
      {
        kind: 'summary',
        ok: true,
        exitCode: 0,
        published: 1,
        refused: 0,
        elapsedMs: expect.any(Number),
      },
    ])
  })

  it('refuses data that breaks the contract, with pointers into the data, and sends nothing', async () => {
    const cwd = sampleProject()
    const { code, lines } = await publish(
      cwd,
      '{"orderId":"a","total":{"amount":"1","currency":"EUR"}}',
    )

    expect(code).toBe(3)
    expect(lines[0]).toMatchObject({
      kind: 'refused',
      findings: [{ code: 'SCHEMA_MISMATCH', pointer: '/total/amount' }],
    })
    expect(lines[0]).not.toHaveProperty('line')
    expect((await runCaptured(['stats', '--json'], { cwd })).out).toContain('"published":0')
  })

  it('goes on after a bad line, keeps the order of the input, and exits with 3', async () => {
    const input = [order('a'), '{"orderId":"b"}', '', '{"orderId":', order('c'), '\ufffd'].join(
      '\n',
    )
    const { code, lines } = await publish(sampleProject(), input, '--jsonl')

    expect(code).toBe(3)
    expect(lines.map(({ kind, line }) => (line === undefined ? kind : `${kind} ${line}`))).toEqual([
      'published',
      'refused 2',
      'refused 4',
      'published',
      'refused 6',
      'summary',
    ])
  })

  it('reads data from a file, and from the command line', async () => {
    const cwd = sampleProject()
    const file = await runCaptured(
      ['publish', 'order.placed', '--data', '@contracts/examples/order.placed/two-books.json'],
      { cwd },
    )
    const inline = await runCaptured(['publish', 'order.placed', '--data', order('x')], { cwd })

    expect([file.code, inline.code]).toEqual([0, 0])
  })

  it.each([
    [['publish', 'order.placed'], 2, 'USAGE'],
    [['publish', 'order.plcaed', '--data', '{}'], 4, 'UNKNOWN_EVENT'],
    [['publish', 'order.placed', '--data', '@nope.json'], 4, 'FILE_NOT_FOUND'],
    [
      ['publish', 'order.placed', '--data', order('a'), '--service', 'nobody'],
      5,
      'SOURCE_NOT_PERMITTED',
    ],
  ] as const)('ends %j with %i and %s', async (argv, code, error) => {
    const result = await runCaptured([...argv, '--json'], { cwd: sampleProject() })

    expect([
      result.code,
      (parseLines(result.out).at(-1)?.error as { code?: string })?.code,
    ]).toEqual([code, error])
  })

  it('stops at a signal, reports what is out, and says that it was interrupted', async () => {
    const stop = new AbortController()
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`${order('a')}\n`)
      stop.abort('SIGTERM')
      await new Promise(() => undefined)
    }
    const argv = ['publish', 'order.placed', '--data', '-', '--jsonl', '--json']
    const { code, out } = await runCaptured(argv, {
      cwd: sampleProject(),
      input: endless(),
      stopping: stop.signal,
    })

    expect(code).toBe(143)
    expect(parseLines(out).at(-1)).toMatchObject({ kind: 'summary', published: 1 })
  })
})

describe('the sender', () => {
  const line = (number: number): InputLine => ({
    number,
    bytes: Buffer.from(String(number)),
    isTooLong: false,
  })

  it('sends without waiting, and reports in the order of the input', async () => {
    const settle: (() => void)[] = []
    const reported: number[] = []
    const sender = new Sender<number>({
      send: ({ number }) => new Promise((resolve) => settle.push(() => resolve(number))),
      report: async (_line, fate) => void reported.push(fate),
    })
    for (const number of [1, 2, 3]) await sender.send(line(number))
    expect(settle).toHaveLength(3)

    settle[2]?.()
    settle[1]?.()
    await turn()
    expect(reported).toEqual([])
    settle[0]?.()
    await sender.end()
    expect(reported).toEqual([1, 2, 3])
  })

  it('holds back when too much is under way', async () => {
    const settle: (() => void)[] = []
    const sender = new Sender<void>({
      send: () => new Promise((resolve) => settle.push(resolve)),
      report: async () => undefined,
    })
    for (let number = 1; number < 2000; number += 1) await sender.send(line(number))
    let hasRoom = false
    const waiting = sender.send(line(2000)).then(() => {
      hasRoom = true
    })
    await turn()
    expect(hasRoom).toBe(false)
    settle[0]?.()
    await waiting
    expect(hasRoom).toBe(true)
  })

  it('ends at the first failure and gives it back', async () => {
    const failure = new Error('the disk is full')
    const sender = new Sender<void>({
      send: ({ number }) => (number === 2 ? Promise.reject(failure) : Promise.resolve()),
      report: async () => undefined,
    })
    for (const number of [1, 2, 3]) await sender.send(line(number))

    expect(await sender.end()).toEqual({ error: failure })
    expect(sender.failed.aborted).toBe(true)
  })
})

describe('readLines', () => {
  async function* chunks(...parts: readonly (string | Buffer)[]): AsyncGenerator<Uint8Array> {
    for (const part of parts) yield Buffer.from(part)
  }
  const linesOf = async (input: AsyncIterable<Uint8Array>, bytesMax = 100) => {
    const lines: (string | number)[] = []
    const signal = new AbortController().signal
    for await (const { number, bytes, isTooLong } of readLines(input, { bytesMax, signal })) {
      lines.push(isTooLong ? number : `${number} ${bytes}`)
    }
    return lines
  }

  it('joins what chunks cut, also in the middle of a character', async () => {
    const bytes = Buffer.from('grün\nblau')

    expect(await linesOf(chunks(bytes.subarray(0, 3), bytes.subarray(3)))).toEqual([
      '1 grün',
      '2 blau',
    ])
  })

  it('takes CRLF, keeps empty lines, and adds none at the end', async () => {
    expect(await linesOf(chunks('a\r\n\r\nb\n'))).toEqual(['1 a', '2 ', '3 b'])
  })

  it('marks a line that is too long without holding it, and goes on', async () => {
    expect(await linesOf(chunks('ab\n', 'x'.repeat(60), 'x'.repeat(60), '\ncd'))).toEqual([
      '1 ab',
      2,
      '3 cd',
    ])
  })
})
