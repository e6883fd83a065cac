import { type ChildProcess, fork } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ChildOrder, type Role, stillborn } from './roles.ts'

const program = new URL('./child.ts', import.meta.url)

/** A place that one process after another fills. */
export interface Slot {
  readonly role: Role
  readonly isFrozen: boolean
  /** Starts the next process; resolves when it works, or when it was killed before that. */
  start(): Promise<void>
  /** SIGKILL, frozen or not; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGSTOP; undone by `thaw` or `kill`. */
  freeze(): void
  thaw(): void
  /** SIGTERM; SIGKILL for who is not gone after `boundMs`. Resolves with whether that was needed. */
  leave(boundMs: number): Promise<boolean>
}

export interface SlotOptions {
  readonly at: number
  readonly order: Omit<ChildOrder, 'name'>
  /** A process ended without having been told to. */
  readonly onCrash: (name: string, code: number | string | null) => void
}

export function createSlot({ at, order, onCrash }: SlotOptions): Slot {
  const { role, folder } = order
  const output = createWriteStream(join(folder, `${role}-${at}.log`), { flags: 'a' })
  let child: ChildProcess | undefined
  let gone = Promise.resolve()
  let generation = 0
  let isFrozen = false
  let isEnding = false

  const signal = (name: NodeJS.Signals) => void child?.kill(name)

  /** As a supervisor would: again, where it found no broker. */
  async function start(): Promise<void> {
    isEnding = false
    while (!isEnding && (await startOne()) === stillborn) await sleep(500)
  }

  /** Resolves once it works, or with its exit code. */
  async function startOne(): Promise<number | null> {
    generation += 1
    const name = `${role}${at}g${generation}`
    const own: ChildOrder = { ...order, name, seed: order.seed + at * 10_000 + generation }
    const started = fork(program, [JSON.stringify(own)], {
      execArgv: [],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    started.stdout?.pipe(output, { end: false })
    started.stderr?.pipe(output, { end: false })
    child = started
    const ended = new Promise<number | null>((resolve) => {
      started.once('exit', (code, by) => {
        if (!isEnding && code !== stillborn) onCrash(name, code ?? by)
        resolve(code)
      })
    })
    gone = ended.then(() => undefined)
    const ready = new Promise<null>((resolve) => started.once('message', () => resolve(null)))
    return Promise.race([ready, ended])
  }

  async function kill(): Promise<void> {
    isEnding = true
    isFrozen = false
    signal('SIGKILL')
    await gone
  }

  return {
    role,
    get isFrozen() {
      return isFrozen
    },
    start,
    kill,
    freeze() {
      isFrozen = true
      signal('SIGSTOP')
    },
    thaw() {
      isFrozen = false
      signal('SIGCONT')
    },
    async leave(boundMs) {
      isEnding = true
      signal('SIGTERM')
      let isLate = false
      const timer = setTimeout(() => {
        isLate = true
        signal('SIGKILL')
      }, boundMs)
      await gone
      clearTimeout(timer)
      return isLate
    },
  }
}
