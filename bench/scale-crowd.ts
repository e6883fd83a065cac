import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import type { FromChild, ScaleTask, ToChild } from './scale-child.ts'
import { ioOf, processCpuMicros } from './server-cpu.ts'

/** Messages under way at which all producers wait. */
export const windowMax = 8000
const roundMsMax = 30_000
const startMsMax = 30_000

/** Processes that send and handle together. */
export interface Crowd {
  /** Sends so many, all producers together; resolves when all of them are acknowledged. @throws when they are not within 30 s */
  round(messages: number): Promise<void>
  /** Of each process, so far. */
  used(): readonly Used[]
  /** Resolves once all processes are gone. */
  end(): Promise<void>
}

export interface Used {
  readonly role: ScaleTask['role']
  readonly cpuMicros: number
  readonly sentBytes: number
  readonly receivedBytes: number
}

/** What all of them know of the round. */
interface Progress {
  underWay: number
  left: number
  isFull: boolean
  finish(failure?: Error): void
}

export async function startCrowd(tasks: readonly ScaleTask[]): Promise<Crowd> {
  const children: ChildProcess[] = []
  const progress: Progress = {
    underWay: 0,
    left: 0,
    isFull: false,
    finish: () => undefined,
  }
  const tellAll = (told: ToChild) => {
    for (const child of children) if (child.connected) child.send(told)
  }
  const end = async () => {
    progress.finish = () => undefined
    await Promise.all(children.map(endChild))
  }
  const start = async (task: ScaleTask) => {
    const child = await startChild(task, children)
    child.on('message', (told: FromChild) => {
      if (told.failed !== undefined) progress.finish(new Error(told.failed))
      count(progress, told, tellAll)
    })
    child.once('exit', (code, signal) =>
      progress.finish(new Error(`a process of the bench ended (${signal ?? code})`)),
    )
  }
  const [first, ...others] = tasks
  try {
    // The first makes what is missing on the broker; the others come together.
    if (first !== undefined) await start(first)
    await Promise.all(others.map(start))
  } catch (error) {
    await end()
    throw error
  }
  return { round: (messages) => runRound(progress, { messages, tasks, tellAll }), end, used }

  function used(): Used[] {
    return children.map(({ pid = 0 }, at) => {
      const { sent, received } = ioOf(pid)
      const role = tasks[at]?.role ?? 'both'
      const cpuMicros = processCpuMicros(pid)
      return { role, cpuMicros, sentBytes: sent, receivedBytes: received }
    })
  }
}

async function startChild(task: ScaleTask, children: ChildProcess[]): Promise<ChildProcess> {
  const child = fork(new URL('./scale-child.ts', import.meta.url), [JSON.stringify(task)])
  children.push(child)
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(
      () => reject(new Error(`a process was not ready within ${startMsMax} ms`)),
      startMsMax,
    )
    child.once('message', () => {
      clearTimeout(late)
      resolve()
    })
    child.once('exit', (code) => {
      clearTimeout(late)
      reject(new Error(`a process of the bench ended with ${code}`))
    })
  })
  return child
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  if (child.connected) child.send({ end: true } satisfies ToChild)
  const late = setTimeout(() => child.kill('SIGKILL'), 8000)
  await gone
  clearTimeout(late)
}

function count(progress: Progress, told: FromChild, tellAll: (told: ToChild) => void): void {
  const { sent = 0, acknowledged = 0 } = told
  progress.underWay += sent - acknowledged
  progress.left -= acknowledged
  const isFull = progress.underWay > windowMax
  if (isFull !== progress.isFull) tellAll({ isFull })
  progress.isFull = isFull
  if (progress.left <= 0) progress.finish()
}

async function runRound(
  progress: Progress,
  given: {
    readonly messages: number
    readonly tasks: readonly ScaleTask[]
    readonly tellAll: (told: ToChild) => void
  },
): Promise<void> {
  const producers = given.tasks.filter(({ role }) => role !== 'consumer').length
  const each = Math.ceil(given.messages / producers)
  progress.left = each * producers
  progress.underWay = 0
  const late = new AbortController()
  try {
    await Promise.race([
      new Promise<void>((resolve, reject) => {
        progress.finish = (failure) => (failure === undefined ? resolve() : reject(failure))
        given.tellAll({ go: each })
      }),
      delay(roundMsMax, undefined, { signal: late.signal }).then(() => {
        throw new Error(`${progress.left} of ${each * producers} messages did not come`)
      }),
    ])
  } finally {
    late.abort()
  }
}
