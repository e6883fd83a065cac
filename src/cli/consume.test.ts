import { describe, expect, it } from 'vitest'
import { parseLines, runCaptured } from './captured-run.ts'
import { createGate } from './consume/gate.ts'
import { sampleOrder, sampleProject } from './sample-project.ts'

async function projectWith(
  orders: readonly string[],
): Promise<{ cwd: string; ids: readonly unknown[] }> {
  const cwd = sampleProject()
  const input = orders.map((id) => JSON.stringify(sampleOrder(id))).join('\n')
  const argv = ['publish', 'order.placed', '--data', '-', '--jsonl', '--json']
  const { out } = await runCaptured(argv, { cwd, input })
  return {
    cwd,
    ids: parseLines(out)
      .slice(0, -1)
      .map(({ id }) => id),
  }
}
async function ledger(cwd: string): Promise<Record<string, number>> {
  const { out } = await runCaptured(['stats', '--json'], { cwd })
  return (JSON.parse(out) as { data: Record<string, number> }).data
}

describe('treaty consume', () => {
  it('prints ready, each message as it was sent, and a summary', async () => {
    const { cwd, ids } = await projectWith(['a', 'b'])
    const { code, out } = await runCaptured(
      ['consume', 'billing', '--idle-exit', '100', '--json'],
      { cwd },
    )
    const lines = parseLines(out)

    expect(code).toBe(0)
    expect(lines[0]).toEqual({ kind: 'ready', consumer: 'billing' })
    expect(lines.slice(1, -1)).toEqual(
      ['a', 'b'].map((id, at) => ({
        kind: 'message',
        id: ids[at],
        event: 'order.placed',
        attempt: 1,
        data: sampleOrder(id),
      })),
    )
    expect(lines.at(-1)).toMatchObject({
      kind: 'summary',
      ok: true,
      consumer: 'billing',
      handled: 2,
      retried: 0,
    })
  })

  it('says that it is ready before the first message, which may come sooner than anybody looks', async () => {
    for (let n = 0; n < 3; n += 1) {
      const { cwd } = await projectWith(['a'])
      const argv = ['consume', 'billing', '--max', '1', '--json']
      const { out } = await runCaptured(argv, { cwd })
      expect(parseLines(out).map(({ kind }) => kind)).toEqual(['ready', 'message', 'summary'])
    }
  })

  it('ends after --max messages and leaves the rest, their attempts uncounted', async () => {
    const { cwd, ids } = await projectWith(['a', 'b', 'c', 'd', 'e'])
    const first = await runCaptured(['consume', 'billing', '--max', '2', '--json'], { cwd })
    expect(parseLines(first.out).filter(({ kind }) => kind === 'message')).toHaveLength(2)
    expect(await ledger(cwd)).toMatchObject({ handled: 2, waiting: 3 })

    const rest = await runCaptured(['consume', 'billing', '--max', '3', '--json'], { cwd })
    const messages = [first, rest].flatMap(({ out }) =>
      parseLines(out).filter(({ kind }) => kind === 'message'),
    )
    expect(messages.map(({ id }) => id).toSorted()).toEqual([...ids].toSorted())
    expect(messages.every(({ attempt }) => attempt === 1)).toBe(true)
  })

  it('acknowledges nothing that its reader did not take', async () => {
    const { cwd } = await projectWith(['a', 'b', 'c'])
    let taken = 0
    const onWrite = (text: string) => {
      if (!text.includes('"kind":"message"')) return
      taken += 1
      if (taken > 1) throw new Error('EPIPE')
    }
    const { code, out } = await runCaptured(
      ['consume', 'billing', '--concurrency', '1', '--json'],
      { cwd, onWrite },
    )

    expect(code).toBe(0)
    expect(parseLines(out).filter(({ kind }) => kind === 'message')).toHaveLength(1)
    expect(await ledger(cwd)).toMatchObject({ handled: 1, waiting: 2, retried: 0, dead: 0 })
  })

  it('finishes what has begun at a signal, releases the rest, and exits with 0', async () => {
    const { cwd } = await projectWith(['a', 'b', 'c'])
    const stop = new AbortController()
    const onWrite = async (text: string) => {
      if (!text.includes('"kind":"message"')) return
      stop.abort('SIGTERM')
      await new Promise(setImmediate)
    }
    const argv = ['consume', 'billing', '--concurrency', '1', '--json']
    const { code, out } = await runCaptured(argv, { cwd, stopping: stop.signal, onWrite })
    const written = parseLines(out).filter(({ kind }) => kind === 'message').length

    expect(code).toBe(0)
    expect(written).toBeGreaterThan(0)
    expect(await ledger(cwd)).toMatchObject({ handled: written, waiting: 3 - written })
  })

  it('gives up at the deadline when its reader takes nothing, and releases what was not written', async () => {
    const { cwd } = await projectWith(['a', 'b'])
    const stop = new AbortController()
    const onWrite = (text: string) => {
      if (!text.includes('"kind":"message"')) return undefined
      stop.abort('SIGTERM')
      return new Promise<void>(() => undefined)
    }
    const argv = ['consume', 'billing', '--drain', '50ms', '--json']
    const { code } = await runCaptured(argv, { cwd, stopping: stop.signal, onWrite })

    expect(code).toBe(143)
    expect(await ledger(cwd)).toMatchObject({ handled: 0, waiting: 2, retried: 0 })
  })

  it('does not wait for a broker that does not answer when it is asked to stop', async () => {
    const { code, out } = await runCaptured(['consume', 'billing', '--json'], {
      cwd: sampleProject(),
      stopping: AbortSignal.abort('SIGTERM'),
    })

    expect(code).toBe(0)
    expect(parseLines(out)).toMatchObject([{ kind: 'summary', ok: true, handled: 0 }])
  })

  it('exits with 4 for a consumer that no contract names, and suggests one', async () => {
    const { code, err } = await runCaptured(['consume', 'biling'], { cwd: sampleProject() })

    expect(code).toBe(4)
    expect(err).toContain("no contract names the consumer biling\n  hint: Did you mean 'billing'?")
  })

  it('refuses an event that the consumer does not list', async () => {
    const { code } = await runCaptured(['consume', 'billing', '--events', 'order.closed'], {
      cwd: sampleProject(),
    })

    expect(code).toBe(2)
  })

  it('shows people lines of text on a terminal', async () => {
    const { cwd } = await projectWith(['a'])
    const { out } = await runCaptured(['consume', 'billing', '--max', '1', '--no-color'], {
      cwd,
      isTerminal: true,
    })

    expect(out).toMatch(/^billing is ready\n\S+ {2}order\.placed {2}\S+ {2}\{"orderId":"a".*\}\n$/)
  })
})

describe('the gate', () => {
  it('gives the place of one that failed to another, and none beyond the limit', async () => {
    const gate = createGate(1)
    expect(await gate.enter()).toBe(true)
    const second = gate.enter()
    gate.leave(false)
    expect(await second).toBe(true)
    const third = gate.enter()
    gate.leave(true)

    expect(gate.isFull()).toBe(true)
    expect(await third).toBe(false)
  })
})
