import { describe, expect, it } from 'vitest'
import { TreatyError } from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import { renderFindings } from './finding-text.ts'
import { createMasker } from './masking.ts'
import { createOutput, type OutputOptions, type OutputStream } from './output.ts'
import { createStyle } from './style.ts'

function stream(isTTY = false): OutputStream & { readonly texts: string[] } {
  const texts: string[] = []
  return {
    texts,
    isTTY,
    write(text, done) {
      texts.push(text)
      done()
      return true
    },
  }
}

function outputWith(options: Partial<OutputOptions> & { isTTY?: boolean } = {}) {
  const out = stream(options.isTTY)
  const err = stream(options.isTTY)
  const output = createOutput({
    out,
    err,
    environment: {},
    masker: createMasker(),
    command: 'check',
    json: false,
    color: true,
    quiet: false,
    verbose: false,
    ...options,
  })
  return { output, outText: () => out.texts.join(''), errText: () => err.texts.join('') }
}

const plain = createStyle({ isTerminal: false, noColor: true, environment: {} })
const finding: Finding = {
  code: 'CONTRACT_KEY_UNKNOWN',
  severity: 'error',
  message: 'unknown key `purpos`',
  hint: 'did you mean `purpose`?',
  file: 'orders.yaml',
  line: 5,
  column: 1,
  frame: '  4 | status: active\n> 5 | purpos: x\n    | ^^^^^^',
}

describe('output as text', () => {
  it('prints findings and then the text, to standard output', async () => {
    const { output, outText, errText } = outputWith()
    const code = await output.finish(
      { exitCode: 3, data: {}, findings: [finding], toText: () => '1 error' },
      7,
    )

    expect(code).toBe(3)
    expect(outText()).toBe(`error[CONTRACT_KEY_UNKNOWN]: unknown key \`purpos\`
  --> orders.yaml:5:1
  4 | status: active
> 5 | purpos: x
    | ^^^^^^
  hint: did you mean \`purpose\`?

1 error
`)
    expect(errText()).toBe('')
  })

  it('prints an error with its findings above it and no stack trace, to standard error', async () => {
    const { output, outText, errText } = outputWith()
    const error = new TreatyError('CONTRACT_INVALID', 'the contracts have 1 error', {
      hint: 'Run treaty check.',
      findings: [finding],
    })

    expect(await output.fail(error, 1)).toBe(3)
    expect(outText()).toBe('')
    expect(errText()).toMatch(/^error\[CONTRACT_KEY_UNKNOWN\]/)
    expect(
      errText()
        .trimEnd()
        .endsWith('error[CONTRACT_INVALID]: the contracts have 1 error\n  hint: Run treaty check.'),
    ).toBe(true)
    expect(errText()).not.toMatch(/\n\s+at /)
  })

  it('prints the trace and the causes with --verbose', async () => {
    const { output, errText } = outputWith({ verbose: true })
    await output.fail(new TreatyError('USAGE', 'no', { cause: new Error('deeper') }), 1)

    expect(errText()).toMatch(/\n\s+at .*output\.test/)
    expect(errText()).toContain('caused by: Error: deeper')
  })

  it('saves the trace of an unforeseen error, exits with 1 and says where it is', async () => {
    const file = '/tmp/crash.txt'
    let saved = ''
    const { output, errText } = outputWith({
      saveCrash: (trace) => {
        saved = trace
        return file
      },
    })

    expect(await output.fail(new TypeError('x is undefined\nmore'), 1)).toBe(1)
    expect(errText()).toBe(
      `error[UNFORESEEN]: something unforeseen happened: x is undefined\n  hint: Report it, with the file ${file}.\n`,
    )
    expect(saved).toMatch(/^TypeError: x is undefined/)
  })

  it('says nothing beside the data with --quiet', () => {
    const { output, errText } = outputWith({ quiet: true })
    output.note('working')

    expect(errText()).toBe('')
  })
})

describe('output as JSON', () => {
  it('is one envelope on one line', async () => {
    const { output, outText } = outputWith({ json: true })
    await output.finish(
      { exitCode: 3, data: { errors: 1 }, findings: [finding], toText: () => 'text' },
      41,
    )

    expect(outText().split('\n')).toHaveLength(2)
    expect(JSON.parse(outText())).toEqual({
      treaty: 1,
      command: 'check',
      ok: false,
      exitCode: 3,
      data: { errors: 1 },
      findings: [finding],
      error: null,
      elapsedMs: 41,
    })
  })

  it('gives an error the same envelope, its findings beside it', async () => {
    const { output, outText, errText } = outputWith({ json: true })
    const error = new TreatyError('CONTRACT_NOT_FOUND', 'there is no contract x', {
      details: { id: 'x' },
      findings: [finding],
    })

    expect(await output.fail(error, 2)).toBe(4)
    expect(JSON.parse(outText())).toEqual({
      treaty: 1,
      command: 'check',
      ok: false,
      exitCode: 4,
      data: null,
      findings: [finding],
      error: {
        code: 'CONTRACT_NOT_FOUND',
        message: 'there is no contract x',
        details: { id: 'x' },
      },
      elapsedMs: 2,
    })
    expect(errText()).toBe('')
  })
})

describe('a stream', () => {
  const line = { kind: 'message', id: 'a' } as const

  it('is one JSON object a line, the last of kind summary', async () => {
    const { output, outText } = outputWith({ stream: 'lines', json: true })
    await output.emit(line, () => 'text')
    await output.finish({ data: { handled: 1 } }, 5)

    expect(outText()).toBe(
      '{"kind":"message","id":"a"}\n{"kind":"summary","ok":true,"exitCode":0,"handled":1,"elapsedMs":5}\n',
    )
  })

  it('is JSON lines without --json where nobody watches, the summary for people beside them', async () => {
    const { output, outText, errText } = outputWith({ stream: 'lines' })
    await output.emit(line, () => 'text')
    await output.finish({ data: { handled: 1 }, toText: () => '1 handled' }, 5)

    expect(outText().split('\n')[0]).toBe('{"kind":"message","id":"a"}')
    expect(errText()).toBe('1 handled\n')
  })

  it('is text on a terminal', async () => {
    const { output, outText } = outputWith({ stream: 'lines', isTTY: true })
    await output.emit(line, () => 'message a')

    expect(outText()).toBe('message a\n')
  })

  it('ends with a summary that carries the error when it fails', async () => {
    const { output, outText } = outputWith({ stream: 'lines', json: true })
    await output.fail(new TreatyError('BUS_CLOSED', 'the bus is closed'), 5)

    expect(JSON.parse(outText())).toMatchObject({
      kind: 'summary',
      ok: false,
      exitCode: 6,
      error: { code: 'BUS_CLOSED' },
    })
  })

  it('says that its reader has gone', async () => {
    const broken: OutputStream = {
      write(_text, done) {
        done(new Error('EPIPE'))
        return false
      },
    }
    const { output } = outputWith({ stream: 'lines', json: true, out: broken })

    await expect(output.emit(line)).rejects.toMatchObject({ code: 'OUTPUT_CLOSED' })
    expect(await output.finish({ data: {} }, 1)).toBe(0)
  })
})

describe('colour', () => {
  const red = (
    environment: Record<string, string>,
    options: { isTerminal?: boolean; noColor?: boolean } = {},
  ) => createStyle({ isTerminal: true, noColor: false, environment, ...options }).red('x') !== 'x'

  it('is there on a terminal only', () => {
    expect(red({})).toBe(true)
    expect(red({}, { isTerminal: false })).toBe(false)
  })

  it('is switched off by NO_COLOR, --no-color and TERM=dumb, and forced by FORCE_COLOR', () => {
    expect(red({ NO_COLOR: '1' })).toBe(false)
    expect(red({ NO_COLOR: '' })).toBe(true)
    expect(red({}, { noColor: true })).toBe(false)
    expect(red({ TERM: 'dumb' })).toBe(false)
    expect(red({ FORCE_COLOR: '1' }, { isTerminal: false })).toBe(true)
    expect(red({ FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false)
  })

  it('leaves symbols to ASCII where the locale is not UTF-8', () => {
    const symbol = (environment: Record<string, string>) =>
      createStyle({ isTerminal: true, noColor: false, environment }).symbols.ok

    expect([
      symbol({}),
      symbol({ LANG: 'C.UTF-8' }),
      symbol({ LANG: 'C' }),
      symbol({ LANG: 'C.UTF-8', LC_ALL: 'POSIX' }),
    ]).toEqual(['✓', '✓', '+', '+'])
  })
})

describe('renderFindings', () => {
  const at = (severity: Finding['severity'], file: string, line: number): Finding => ({
    code: 'X',
    severity,
    message: `${severity} ${file} ${line}`,
    file,
    line,
  })

  it('groups by file and puts the gravest last, where the eye is', () => {
    const text = renderFindings(
      [
        at('error', 'b', 9),
        at('error', 'b', 2),
        at('warning', 'b', 30),
        at('info', 'c', 1),
        at('warning', 'a', 1),
      ],
      plain,
    )

    expect([...text.matchAll(/: (\w+ \w \d+)$/gm)].map(([, message]) => message)).toEqual([
      'info c 1',
      'warning a 1',
      'warning b 30',
      'error b 2',
      'error b 9',
    ])
  })

  it('shows twenty, the gravest, and counts the rest', () => {
    const many = [
      ...Array.from({ length: 30 }, (_, line) => at('warning', 'a', line)),
      ...Array.from({ length: 15 }, (_, line) => at('error', 'a', line)),
    ]
    const text = renderFindings(many, plain)

    expect(text.split('\n')[0]).toBe('25 warnings more, not shown here; --json has all of them')
    expect(text.match(/^error\[/gm)).toHaveLength(15)
    expect(text.match(/^warning\[/gm)).toHaveLength(5)
  })

  it('names the pointer where there is no file, and the witness', () => {
    const text = renderFindings(
      [
        {
          code: 'X',
          severity: 'error',
          message: 'no',
          pointer: '/data/a',
          consumer: 'billing',
          witness: { a: 1 },
        },
      ],
      plain,
    )

    expect(text).toBe('error[X]: no\n  at /data/a, consumer billing\n  witness: {"a":1}')
  })
})

describe('the masker', () => {
  it('masks a revealed secret, also percent-encoded and inside JSON', () => {
    const masker = createMasker()
    const url = masker.reveal('postgres://app:secret://env/PW@db', { PW: 'p@ss"word' })

    expect(url).toBe('postgres://app:p%40ss%22word@db')
    const shown = masker.mask(`${url} ${JSON.stringify({ pw: 'p@ss"word' })} p@ss"word`)
    expect(shown).toBe('postgres://app:[secret]@db {"pw":"[secret]"} [secret]')
  })

  it('masks the password of a URL that was given in plain text', () => {
    const masker = createMasker()
    masker.addPassword('amqp://guest:hunter%32two@localhost')

    expect(masker.mask('refused hunter%32two and hunter2two')).toBe('refused [secret] and [secret]')
  })
})
