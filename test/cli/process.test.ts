import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { sampleOrder, sampleProject } from '../../src/cli/sample-project.ts'

/** What only a real process shows: signals, full pipes, process groups, what is loaded. */

const main = resolve(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')
const children = new Set<ChildProcess>()

afterEach(() => {
  for (const child of children) signalGroup(child, 'SIGKILL')
  children.clear()
})

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal)
  } catch {
    // It has ended.
  }
}

interface Job {
  readonly child: ChildProcess
  readonly ended: Promise<number | NodeJS.Signals | null>
  out(): string
  err(): string
  lines(kind: string): Record<string, unknown>[]
  /** To the whole group, as a terminal does. */
  signal(name: NodeJS.Signals): void
}

function start(cwd: string, args: readonly string[], nodeArgs: readonly string[] = []): Job {
  const child = spawn(process.execPath, [...nodeArgs, main, ...args], { cwd, detached: true })
  children.add(child)
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  child.stdin.on('error', () => undefined)
  const ended = new Promise<number | NodeJS.Signals | null>((done) => {
    child.on('close', (code, signal) => done(code ?? signal))
  })
  return {
    child,
    ended,
    out: () => out,
    err: () => err,
    lines: (kind) =>
      out
        .split('\n')
        .filter((line) => line.startsWith('{') && line.endsWith('}'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((line) => line.kind === kind),
    signal: (name) => signalGroup(child, name),
  }
}

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not in time: ${what}`)
    await sleep(10)
  }
}

async function publish(cwd: string, ids: readonly string[], note = ''): Promise<void> {
  const job = start(cwd, ['publish', 'order.placed', '--data', '-', '--jsonl'])
  const lines = ids.map((id) =>
    JSON.stringify({ ...sampleOrder(id), ...(note === '' ? {} : { note }) }),
  )
  job.child.stdin?.end(lines.join('\n'))
  expect(await job.ended).toBe(0)
}
async function ledger(cwd: string): Promise<Record<string, number>> {
  const job = start(cwd, ['stats', '--json'])
  await job.ended
  return (JSON.parse(job.out()) as { data: Record<string, number> }).data
}
const ids = (count: number) => Array.from({ length: count }, (_, at) => `o-${at}`)

describe('treaty --help', () => {
  it('loads nothing heavy', async () => {
    const record = `import { registerHooks } from 'node:module'
      registerHooks({ resolve(name, context, next) { process.stderr.write('load ' + name + '\\n'); return next(name, context) } })`
    const job = start(
      '/',
      ['--help'],
      ['--import', `data:text/javascript,${encodeURIComponent(record)}`],
    )
    expect(await job.ended).toBe(0)

    const loaded = job.err().match(/^load .*$/gm) ?? []
    expect(loaded.length).toBeGreaterThan(3)
    expect(
      loaded.filter((line) =>
        /commander|ajv|yaml|fastify|clack|contracts\/index|messaging\/index/.test(line),
      ),
    ).toEqual([])
  })
})

describe('treaty consume, its output a full pipe', () => {
  it('acknowledges nothing beyond what was written out, and still hears a signal', async () => {
    const cwd = sampleProject()
    await publish(cwd, ids(1500), 'x'.repeat(200))
    const job = start(cwd, ['consume', 'billing', '--drain', '300ms'])
    await until(() => job.lines('ready').length > 0, 'ready')
    job.child.stdout?.pause()
    await sleep(1500)
    job.signal('SIGTERM')
    await sleep(1000)
    job.child.stdout?.resume()

    expect(await job.ended).toBe(143)
    const written = job.lines('message').length
    expect(written).toBeLessThan(1500)
    const { handled, waiting } = await ledger(cwd)
    expect(handled).toBeLessThanOrEqual(written)
    expect((handled ?? 0) + (waiting ?? 0)).toBe(1500)
  })

  it('ends quietly when its reader has gone', async () => {
    const cwd = sampleProject()
    await publish(cwd, ids(50))
    const job = start(cwd, ['consume', 'billing'])
    await until(() => job.lines('message').length > 0, 'a message')
    job.child.stdout?.destroy()
    await publish(cwd, ids(50))

    expect(await job.ended).toBe(0)
    expect(job.err()).not.toMatch(/\n\s+at |EPIPE/)
  })
})

describe('treaty consume --exec', () => {
  it('gives the message on standard input, and its facts in the environment', async () => {
    const cwd = sampleProject()
    await publish(cwd, ['a'])
    const job = start(cwd, [
      'consume',
      'billing',
      '--max',
      '1',
      '--exec',
      'cat > got.json; echo "$TREATY_EVENT $TREATY_ATTEMPT" > facts; echo noise',
    ])

    expect(await job.ended).toBe(0)
    const message = JSON.parse(readFileSync(join(cwd, 'got.json'), 'utf8')) as Record<
      string,
      unknown
    >
    expect(message).toMatchObject({
      type: 'order.placed',
      source: 'order-service',
      data: sampleOrder('a'),
    })
    expect(readFileSync(join(cwd, 'facts'), 'utf8')).toBe('order.placed 1\n')
    expect(job.lines('message')).toMatchObject([{ id: message.id, attempt: 1 }])
    expect(job.out()).not.toContain('noise')
  })

  it('takes another exit than 0 for a failed attempt, without a line', async () => {
    const cwd = sampleProject()
    await publish(cwd, ['a'])
    const job = start(cwd, [
      'consume',
      'billing',
      '--idle-exit',
      '200',
      '--exec',
      '[ -e tried ] || { : > tried; exit 3; }',
    ])

    expect(await job.ended).toBe(0)
    expect(job.lines('message')).toMatchObject([{ attempt: 2 }])
    expect(job.lines('summary')).toMatchObject([{ handled: 1, retried: 1 }])
    expect(job.err()).toContain('the command ended with 3')
  })

  it('survives a command that does not read its input', async () => {
    const cwd = sampleProject()
    await publish(cwd, ids(5), 'x'.repeat(200))
    const job = start(cwd, ['consume', 'billing', '--max', '5', '--exec', 'exec <&-; true'])

    expect(await job.ended).toBe(0)
    expect(job.lines('message')).toHaveLength(5)
  })

  it('lets a command finish on Ctrl-C, which does not reach it', async () => {
    const cwd = sampleProject()
    await publish(cwd, ['a', 'b', 'c'])
    const job = start(cwd, [
      'consume',
      'billing',
      '--concurrency',
      '1',
      '--exec',
      ': > begun; sleep 0.6; echo done >> done',
    ])
    await until(() => existsSync(join(cwd, 'begun')), 'the command has begun')
    job.signal('SIGINT')

    expect(await job.ended).toBe(0)
    expect(readFileSync(join(cwd, 'done'), 'utf8')).toBe('done\n')
    expect(job.lines('message')).toHaveLength(1)
    expect(job.lines('summary')).toMatchObject([{ ok: true, handled: 1, retried: 0 }])
    expect(await ledger(cwd)).toMatchObject({ handled: 1, waiting: 2, retried: 0 })
  })

  it('gives up at the second Ctrl-C: the command is ended, its message released, exit 130', async () => {
    const cwd = sampleProject()
    await publish(cwd, ['a'])
    const job = start(cwd, ['consume', 'billing', '--exec', 'echo $$ > pid; sleep 60'])
    await until(
      () => existsSync(join(cwd, 'pid')) && readFileSync(join(cwd, 'pid'), 'utf8') !== '',
      'the command has begun',
    )
    job.signal('SIGINT')
    await until(() => job.err().includes('once more'), 'it says how to give up')
    job.signal('SIGINT')

    expect(await job.ended).toBe(130)
    expect(job.lines('message')).toHaveLength(0)
    const pid = Number(readFileSync(join(cwd, 'pid'), 'utf8'))
    await until(() => !isAlive(pid), 'the command has ended')
    expect(await ledger(cwd)).toMatchObject({ handled: 0, waiting: 1, retried: 0 })
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

describe('treaty publish --jsonl', () => {
  it('answers each line at once when they come slowly', async () => {
    const cwd = sampleProject()
    const job = start(cwd, ['publish', 'order.placed', '--data', '-', '--jsonl'])
    for (let count = 1; count <= 3; count += 1) {
      job.child.stdin?.write(`${JSON.stringify(sampleOrder(`s-${count}`))}\n`)
      await until(
        () => job.lines('published').length === count,
        `line ${count} is answered before the next is sent`,
      )
    }
    job.child.stdin?.end()

    expect(await job.ended).toBe(0)
    expect(job.lines('summary')).toMatchObject([{ published: 3, refused: 0 }])
  })

  it('keeps the order of the input through many lines', async () => {
    const cwd = sampleProject()
    const job = start(cwd, ['publish', 'order.placed', '--data', '-', '--jsonl'])
    job.child.stdin?.end(
      ids(5000)
        .map((id) => JSON.stringify(sampleOrder(id)))
        .join('\n'),
    )
    expect(await job.ended).toBe(0)

    const positions = job.lines('published').map(({ position }) => position as string)
    expect(positions).toHaveLength(5000)
    expect(positions).toEqual(positions.toSorted())
  })

  it('stops on Ctrl-C with what is acknowledged, exit 130', async () => {
    const cwd = sampleProject()
    const job = start(cwd, ['publish', 'order.placed', '--data', '-', '--jsonl'])
    job.child.stdin?.write(`${JSON.stringify(sampleOrder('a'))}\n`)
    await until(() => job.lines('published').length === 1, 'the first line is answered')
    job.signal('SIGINT')

    expect(await job.ended).toBe(130)
    expect(job.lines('summary')).toMatchObject([{ published: 1 }])
    expect(await ledger(cwd)).toMatchObject({ published: 1 })
  })
})

describe('a broken database file', () => {
  it('is a named error with a hint and no stack trace', async () => {
    const cwd = sampleProject()
    writeFileSync(join(cwd, 'treaty.db'), 'no database at all, '.repeat(500))
    const job = start(cwd, ['consume', 'billing'])

    expect(await job.ended).toBe(6)
    expect(job.err()).toMatch(/error\[STORE_CORRUPT\]/)
    expect(job.err()).toMatch(/hint: /)
    expect(job.err()).not.toMatch(/\n\s+at .*\.ts:\d+/)
  })
})
