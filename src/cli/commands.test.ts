import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openBus } from '../messaging/index.ts'
import { parseLines, runCaptured } from './captured-run.ts'
import { sampleOrder, sampleProject } from './sample-project.ts'

const emptyFolder = () => mkdtempSync(join(tmpdir(), 'treaty-cli-'))

/** The one envelope on standard output, without what differs from run to run. */
function envelope(out: string) {
  const { elapsedMs, ...rest } = JSON.parse(out) as Record<string, unknown> & { data: never }
  expect(elapsedMs).toBeTypeOf('number')
  return rest
}

async function runIn(cwd: string, argv: readonly string[], input?: string) {
  return runCaptured(argv, { cwd, ...(input === undefined ? {} : { input }) })
}
async function publish(cwd: string, orderId: string, ...more: string[]): Promise<string> {
  const { out } = await runIn(cwd, [
    'publish',
    'order.placed',
    '--data',
    JSON.stringify(sampleOrder(orderId)),
    ...more,
  ])
  return parseLines(out)[0]?.id as string
}
/** Publishes a message and lets it die. */
async function bury(cwd: string): Promise<{ messageId: string; deadId: string }> {
  const messageId = await publish(cwd, 'd-1')
  await using bus = await openBus({
    contracts: join(cwd, 'contracts'),
    transport: `sqlite:${join(cwd, 'treaty.db')}`,
  })
  await new Promise<void>((settled) => {
    void bus.consume(
      'billing',
      { '*': (_message, context) => context.dead('no such customer') },
      { onSettled: () => settled() },
    )
  })
  const { items } = await bus.dead.list()
  return { messageId, deadId: items[0]?.id ?? '' }
}

describe('treaty', () => {
  it('shows help, groups first, without arguments', async () => {
    const { code, out } = await runIn('/', [])

    expect(code).toBe(0)
    expect(out).toMatch(/^treaty: contract-first/)
    expect(out).toMatch(/check {2,}Find every mistake in contracts, with its place/)
  })

  it('shows help on a command with its examples before its options', async () => {
    const { out } = await runIn('/', ['consume', '--help'])

    expect(out.indexOf('Examples')).toBeGreaterThan(0)
    expect(out.indexOf('Examples')).toBeLessThan(out.indexOf('Options'))
    expect(out).toContain('--idle-exit MS')
  })

  it('keeps help within 110 columns', async () => {
    const pages = await Promise.all(
      [['--help'], ['publish', '--help'], ['start', '--help']].map((argv) => runIn('/', argv)),
    )

    expect(pages.flatMap(({ out }) => out.split('\n')).filter((line) => line.length > 110)).toEqual(
      [],
    )
  })

  it('shows its version', async () => {
    expect(await runIn('/', ['--version'])).toEqual({ code: 0, out: '0.0.0-test\n', err: '' })
  })

  it('exits with 2 on wrong use, as text and as JSON', async () => {
    const text = await runIn('/', ['chekc'])
    expect(text).toEqual({
      code: 2,
      out: '',
      err: "error[USAGE]: unknown command 'chekc'\n  hint: Did you mean 'check'?\n",
    })

    const json = await runIn('/', ['check', '--jsn', '--json'])
    expect(json.code).toBe(2)
    expect(envelope(json.out)).toMatchObject({
      ok: false,
      exitCode: 2,
      error: { code: 'USAGE', hint: 'Did you mean --json?' },
    })
  })
})

describe('treaty check', () => {
  it('passes a good project', async () => {
    expect(await runIn(sampleProject(), ['check'])).toEqual({
      code: 0,
      out: '✓ ok  1 contract, no findings\n',
      err: '',
    })
  })

  it('reports all findings with file, line, column and frame, exit 3', async () => {
    const cwd = sampleProject()
    const path = join(cwd, 'contracts', 'shop.orders.yaml')
    const broken = readFileSync(path, 'utf8')
      .replace('purpose: Tells', 'purpos: Tells')
      .replace('attempts: 5', 'attempts: -5')
    writeFileSync(path, broken)

    const text = await runIn(cwd, ['check'])
    expect(text.code).toBe(3)
    expect(text.out).toContain('error[CONTRACT_KEY_UNKNOWN]: unknown key `purpos`')
    expect(text.out).toMatch(/> {1,2}6 \| purpos: Tells every service/)
    expect(text.out).toContain('RETRY_IMPOSSIBLE')
    expect(text.out.trimEnd()).toMatch(/✗ failed {2}\d contracts?, \d errors?/)

    const { findings, ...rest } = envelope((await runIn(cwd, ['check', '--json'])).out)
    expect(rest).toMatchObject({ treaty: 1, command: 'check', ok: false, exitCode: 3, error: null })
    expect((findings as { line?: number }[]).every(({ line }) => (line ?? 0) > 0)).toBe(true)
  })

  it('exits with 4 where the path does not exist', async () => {
    const { code, err } = await runIn(emptyFolder(), ['check', 'contarcts'])

    expect(code).toBe(4)
    expect(err).toContain('error[FILE_NOT_FOUND]')
  })
})

describe('treaty contract', () => {
  it('lists contracts', async () => {
    const { out } = await runIn(sampleProject(), ['contract', 'show'])

    expect(out).toBe(`contract     version  status  events  commands  consumers  purpose
shop.orders  1.0.0    active  1       0         1          Tells every service that an order was placed.
`)
  })

  it('shows one with who consumes it and what happens on failure', async () => {
    const { out } = await runIn(sampleProject(), ['contract', 'show', 'shop.orders'])

    expect(out).toContain(
      'billing   ^1.0.0   order.placed  5 attempts, from 1s to 1m  shop.orders.billing.dlq (30d)',
    )
    // A review names it, and treaty.schema.json says that it is to be had here.
    expect(out).toMatch(/^sha256:[0-9a-f]{64}$/m)
  })

  it('exits with 4 and suggests a name where there is none', async () => {
    const { code, err } = await runIn(sampleProject(), ['contract', 'show', 'shop.order'])

    expect(code).toBe(4)
    expect(err).toBe(
      "error[CONTRACT_NOT_FOUND]: there is no contract shop.order\n  hint: Did you mean 'shop.orders'?\n",
    )
  })

  it('writes Markdown, to standard output or to files', async () => {
    const cwd = sampleProject()
    const printed = await runIn(cwd, ['contract', 'docs', 'shop.orders'])
    const written = await runIn(cwd, ['contract', 'docs', '--out', 'out'])

    expect(printed.out).toMatch(/^# shop\.orders\n\n## Overview/)
    expect(written.out).toBe('1 document written to out\n')
    expect(readFileSync(join(cwd, 'out', 'shop.orders.md'), 'utf8').trimEnd()).toBe(
      printed.out.trimEnd(),
    )
  })
})

describe('treaty gen', () => {
  it('writes types to a file, or to standard output', async () => {
    const cwd = sampleProject()
    const { code, out } = await runIn(cwd, ['gen'])
    const printed = await runIn(cwd, ['gen', '--out', '-'])

    expect(code).toBe(0)
    expect(out).toContain('✓ written  treaty.gen.d.ts, 1 contract')
    expect(printed.out).toContain("'order.placed': OrderPlaced")
    expect(readFileSync(join(cwd, 'treaty.gen.d.ts'), 'utf8').trimEnd()).toBe(printed.out.trimEnd())
  })
})

describe('treaty validate', () => {
  const message = (data: unknown) => ({
    id: '550e8400-e29b-41d4-a716-446655440000',
    type: 'order.placed',
    source: 'order-service',
    timestamp: '2026-03-29T05:43:25Z',
    correlation_id: '5d976e66-8c32-483f-a9d1-8feaade0e1e0',
    data,
  })
  const good = JSON.stringify(message(sampleOrder('a')))
  const bad = JSON.stringify(message({ orderId: 'a', total: { amount: '1', currency: 'EUR' } }))
  const validate = async (input: string) => {
    const { code, out } = await runIn(sampleProject(), ['validate', '-', '--json'], input)
    const { data, findings } = envelope(out)
    return {
      code,
      data: data as { messages: number; invalid: number },
      findings: findings as { code: string; pointer?: string; line?: number }[],
    }
  }

  it('passes a good message', async () => {
    expect(await runIn(sampleProject(), ['validate', '-'], good)).toEqual({
      code: 0,
      out: '✓ ok  1 of 1 message valid, no findings\n',
      err: '',
    })
  })

  it('points into the message', async () => {
    const { code, findings } = await validate(bad)

    expect(code).toBe(3)
    expect(findings.map(({ pointer }) => pointer)).toEqual(['/data/total/amount'])
  })

  it('says which message of an array', async () => {
    const { data, findings } = await validate(`[${good},${bad}]`)

    expect(data).toMatchObject({ messages: 2, invalid: 1 })
    expect(findings.map(({ pointer }) => pointer)).toEqual(['/1/data/total/amount'])
  })

  it('shows the place in the text of the reader, with the number of its line', async () => {
    const { out } = await runIn(sampleProject(), ['validate', '-'], `${good}\n${bad}\n`)

    expect(out).toMatch(/--> line 2, column \d+\n> 2 \| .*\n {4}\| +\^\^\^$/m)
  })

  it('says which line of JSON lines, and goes on after one that is no JSON', async () => {
    const { code, data, findings } = await validate(`${good}\n\n{"id":\n${bad}\n`)

    expect(code).toBe(3)
    expect(data).toMatchObject({ messages: 3, invalid: 2 })
    expect(findings.map(({ line, pointer }) => [line, pointer])).toEqual([
      [3, undefined],
      [4, '/data/total/amount'],
    ])
  })

  it.each([
    ['no JSON', '{"id": ', 'JSON_SYNTAX'],
    ['nothing', '', 'JSON_SYNTAX'],
    ['null', 'null', 'MESSAGE_NOT_OBJECT'],
    ['10 000 levels', `${'['.repeat(10_000)}${']'.repeat(10_000)}`, 'JSON_TOO_DEEP'],
    ['an unknown type', good.replace('order.placed', 'order.plcaed'), 'UNKNOWN_EVENT'],
  ])('finds %s, exit 3', async (_what, text, code) => {
    const verdict = await validate(text)

    expect([verdict.code, verdict.findings[0]?.code]).toEqual([3, code])
  })

  it('exits with 4 where the file or the pack is not there', async () => {
    const cwd = sampleProject()

    expect((await runIn(cwd, ['validate', 'nope.json'])).code).toBe(4)
    expect((await runIn(cwd, ['validate', '-', '--pack', 'nope'], good)).code).toBe(4)
  })
})

describe('treaty explain', () => {
  it('prints the entry of a code, in whatever case', async () => {
    const { code, out } = await runIn('/', ['explain', 'secret_not_found'])

    expect(code).toBe(0)
    expect(out).toBe(`SECRET_NOT_FOUND

A secret reference points to an environment variable or file that is not there.

What to do  Set the variable, or write the file, that the reference names.

Example
    transport: postgres://app:secret://env/DB_PASSWORD@db/app

exit code 2, HTTP status 500, does not pass by trying again
`)
  })

  it('exits with 4 for an unknown code, with the nearest', async () => {
    const { code, err } = await runIn('/', ['explain', 'SECRET_NOT_FUOND'])

    expect(code).toBe(4)
    expect(err).toContain("hint: Did you mean 'SECRET_NOT_FOUND'?")
  })

  it('lists all codes', async () => {
    const { out } = await runIn('/', ['explain', '--json'])
    const { codes } = envelope(out).data as { codes: readonly unknown[] }

    expect(codes.length).toBeGreaterThan(50)
  })
})

describe('treaty init', () => {
  it('makes a project that passes check without a finding', async () => {
    const cwd = emptyFolder()
    const { code, out } = await runIn(cwd, ['init', 'shop', '--yes', '--json'])
    const { data } = envelope(out)

    expect(code).toBe(0)
    expect(data).toMatchObject({
      name: 'shop',
      kept: [],
      next: ['cd shop', 'npm install', 'npx treaty dev'],
    })
    expect(await runIn(join(cwd, 'shop'), ['check'])).toMatchObject({
      code: 0,
      out: '✓ ok  1 contract, no findings\n',
    })
  })

  it('refuses a folder that holds a project, and changes nothing', async () => {
    const cwd = sampleProject()
    const before = readFileSync(join(cwd, 'treaty.config.yaml'), 'utf8')
    const { code, err } = await runIn(cwd, ['init', '--yes'])

    expect(code).toBe(5)
    expect(err).toContain('error[OUTPUT_EXISTS]')
    expect(readFileSync(join(cwd, 'treaty.config.yaml'), 'utf8')).toBe(before)
  })

  it('keeps the package.json that is there, and writes modules that run under its type', async () => {
    const cwd = emptyFolder()
    const own = {
      name: 'mine',
      type: 'commonjs',
      scripts: { dev: 'own' },
      devDependencies: { treatyjs: '1' },
    }
    writeFileSync(join(cwd, 'package.json'), JSON.stringify(own))
    await runIn(cwd, ['init', '--yes'])
    const merged = JSON.parse(readFileSync(join(cwd, 'package.json'), 'utf8')) as Record<
      string,
      unknown
    >

    expect(merged).toEqual({
      ...own,
      scripts: { dev: 'own', start: 'treaty start', check: 'treaty check', gen: 'treaty gen' },
    })
    expect(existsSync(join(cwd, 'src', 'handlers.mts'))).toBe(true)
  })
})

describe('treaty doctor', () => {
  const statuses = async (cwd: string, ...argv: string[]) => {
    const { code, out } = await runIn(cwd, ['doctor', '--json', ...argv])
    const { checks } = envelope(out).data as {
      checks: readonly { id: string; status: string; fix: string | null }[]
    }
    return {
      code,
      checks: Object.fromEntries(checks.map(({ id, status }) => [id, status])),
      all: checks,
    }
  }

  it('finds nothing wrong with a good project, and makes nothing', async () => {
    const cwd = sampleProject()
    const { code, checks } = await statuses(cwd)

    expect(code).toBe(0)
    expect(checks).toMatchObject({
      node: 'ok',
      config: 'ok',
      contracts: 'ok',
      transport: 'ok',
      store: 'ok',
      modules: 'ok',
    })
    expect(existsSync(join(cwd, 'treaty.db'))).toBe(false)
  })

  it('exits with 3 and says what to do where something failed', async () => {
    const cwd = sampleProject()
    writeFileSync(
      join(cwd, 'treaty.db'),
      'this is no database, and long enough to be taken for one'.repeat(100),
    )
    writeFileSync(
      join(cwd, 'treaty.config.yaml'),
      'handlers: src/nope.ts\nserver: { port: 0, keys: [{ name: a, scopes: read, key: secret://env/NOPE }] }\n',
    )
    const { code, checks, all } = await statuses(cwd)

    expect(code).toBe(3)
    expect(checks).toMatchObject({
      config: 'ok',
      secrets: 'fail',
      modules: 'fail',
      transport: 'fail',
      store: 'fail',
    })
    expect(
      all.filter(({ status }) => status === 'fail').every(({ fix }) => (fix ?? '').length > 10),
    ).toBe(true)
  })

  it('stops at a configuration that is not valid', async () => {
    const cwd = sampleProject()
    writeFileSync(join(cwd, 'treaty.config.yaml'), 'transprot: x\n')

    expect(await statuses(cwd)).toMatchObject({ code: 3, checks: { config: 'fail' } })
  })
})

describe('treaty dead', () => {
  it('lists, shows, replays under the same id, and discards', async () => {
    const cwd = sampleProject()
    const { messageId, deadId } = await bury(cwd)

    const listed = envelope((await runIn(cwd, ['dead', 'list', '--json'])).out)
    expect(listed).toMatchObject({
      command: 'dead list',
      ok: true,
      data: {
        items: [
          {
            id: deadId,
            messageId,
            event: 'order.placed',
            consumer: 'billing',
            reason: 'REJECTED',
            attempts: 1,
          },
        ],
      },
    })
    const shown = await runIn(cwd, ['dead', 'show', deadId])
    expect(shown.out).toContain('REJECTED: no such customer')
    expect(shown.out).toContain('"orderId": "d-1"')

    const replayed = await runIn(cwd, ['dead', 'replay', deadId])
    expect(replayed).toMatchObject({
      code: 0,
      out: `✓ replayed  order.placed  ${messageId} for billing\n`,
    })
    const { out } = await runIn(cwd, ['consume', 'billing', '--max', '1', '--json'])
    expect(parseLines(out).find(({ kind }) => kind === 'message')).toMatchObject({
      id: messageId,
      attempt: 1,
    })
    expect((await runIn(cwd, ['dead', 'list'])).out).toBe('no dead letters\n')
  })

  it('discards for good', async () => {
    const cwd = sampleProject()
    const { deadId } = await bury(cwd)

    expect((await runIn(cwd, ['dead', 'discard', deadId])).code).toBe(0)
    expect((await runIn(cwd, ['dead', 'show', deadId])).code).toBe(4)
  })

  it('exits with 4 for an id that is not there, or is of another consumer', async () => {
    const cwd = sampleProject()
    const { deadId } = await bury(cwd)

    for (const argv of [
      ['show', 'nope'],
      ['replay', 'nope'],
      ['discard', deadId, '--consumer', 'audit'],
    ]) {
      const { code, err } = await runIn(cwd, ['dead', ...argv])
      expect([code, /DEAD_LETTER_NOT_FOUND/.test(err)]).toEqual([4, true])
    }
  })
})

describe('treaty trace, tail and stats', () => {
  it('traces a correlation id', async () => {
    const cwd = sampleProject()
    const correlationId = '5d976e66-8c32-483f-a9d1-8feaade0e1e0'
    const id = await publish(cwd, 't-1', '--correlation-id', correlationId)
    const { code, out } = await runIn(cwd, ['trace', correlationId])

    expect(code).toBe(0)
    expect(out).toContain(`order.placed  ${id} from order-service  billing waiting`)
    expect((await runIn(cwd, ['trace', 'nope'])).code).toBe(4)
  })

  it('tails what is kept without consuming it', async () => {
    const cwd = sampleProject()
    const id = await publish(cwd, 't-2')
    const { out } = await runIn(cwd, ['tail', '--all', '--max', '1', '--json'])

    expect(parseLines(out).map(({ kind }) => kind)).toEqual(['ready', 'message', 'summary'])
    expect(parseLines(out)[1]).toMatchObject({
      id,
      event: 'order.placed',
      data: sampleOrder('t-2'),
    })
    const { data } = envelope((await runIn(cwd, ['stats', '--json'])).out)
    expect(data).toMatchObject({ published: 1, deliveries: 1, waiting: 1, handled: 0 })
  })

  it('prints the ledger as a table', async () => {
    const cwd = sampleProject()
    await publish(cwd, 't-3')

    expect(
      (await runIn(cwd, ['stats'])).out,
    ).toBe(`event         published  deliveries  handled  skipped  retried  dead  expired  waiting
order.placed  1          1           0        0        0        0     0        1
  → billing              1           0        0        0        0     0        1
all           1          1           0        0        0        0     0        1
`)
  })
})

describe('treaty store backup', () => {
  it('copies the store to a new file, and never over one that is there', async () => {
    const cwd = sampleProject()
    await publish(cwd, 'b-1')
    const first = await runIn(cwd, ['store', 'backup', 'copy.db', '--json'])

    expect(envelope(first.out)).toMatchObject({ ok: true, data: { file: join(cwd, 'copy.db') } })
    expect((await runIn(cwd, ['stats', '--transport', 'sqlite:copy.db', '--json'])).out).toContain(
      '"published":1',
    )
    expect((await runIn(cwd, ['store', 'backup', 'copy.db'])).code).toBe(5)
  })

  it('exits with 4 where there is no store yet', async () => {
    expect((await runIn(sampleProject(), ['store', 'backup', 'copy.db'])).code).toBe(4)
  })
})
