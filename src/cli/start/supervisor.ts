import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Clock, TimerHandle } from '../../core/clock.ts'
import type { ServiceSettings } from '../config/settings.ts'

/** A program to keep running, with everything resolved. */
export interface ServiceProgram extends Omit<ServiceSettings, 'env'> {
  /** The whole environment of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** What happens to services, for people and programs. */
export type ServiceEvent =
  | {
      readonly kind: 'started'
      readonly service: string
      readonly pid: number
      readonly starts: number
    }
  | {
      readonly kind: 'ended'
      readonly service: string
      readonly how: string
      readonly againInMs: number | undefined
    }
  | { readonly kind: 'line'; readonly service: string; readonly text: string }

export interface SupervisorOptions {
  readonly programs: readonly ServiceProgram[]
  readonly clock: Clock
  readonly onEvent: (event: ServiceEvent) => void
}

/** Keeps programs running as processes of their own. */
export interface Supervisor {
  start(): void
  /** Process ids of those that run, by name. */
  pids(): ReadonlyMap<string, number>
  /**
   * Asks every process to end (SIGTERM) and waits up to `drainMs`, then kills what is left, with its children.
   * Resolves when none is left. Safe to call twice; a second call with a shorter time hurries.
   */
  stop(drainMs: number): Promise<void>
}

const backoffBaseMs = 200
const backoffCapMs = 10_000
/** A process that ran for so long has got over what ended the one before. */
const healthyAfterMs = 10_000

/** Milliseconds before the next start, after so many ends in a row. */
export function restartDelayMs(endsInRow: number): number {
  return Math.min(backoffCapMs, backoffBaseMs * 2 ** Math.max(0, endsInRow - 1))
}

/**
 * A supervisor. Each process gets its own group, so that Ctrl-C in a terminal reaches the supervisor alone, and a
 * pipe as standard input, which closes also when the supervisor is killed: that is how services learn of it.
 */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const services = options.programs.map((program) => superviseOne(program, options))
  return {
    start() {
      for (const service of services) service.start()
    },
    pids: () =>
      new Map(
        services.flatMap(({ name, pid }) => {
          const running = pid()
          return running === undefined ? [] : [[name, running] as const]
        }),
      ),
    async stop(drainMs) {
      await Promise.all(services.map((service) => service.stop(drainMs)))
    },
  }
}

interface Supervised {
  readonly name: string
  start(): void
  pid(): number | undefined
  stop(drainMs: number): Promise<void>
}

function superviseOne(program: ServiceProgram, { clock, onEvent }: SupervisorOptions): Supervised {
  const service = program.name
  let child: ChildProcess | undefined
  let timer: TimerHandle
  let isStopping = false
  let starts = 0
  let endsInRow = 0
  let ended = Promise.resolve()

  function start(): void {
    const startedAt = clock.monotonic()
    starts += 1
    const running = launch(program)
    child = running
    readLines(running, (text) => onEvent({ kind: 'line', service, text }))
    if (running.pid !== undefined) onEvent({ kind: 'started', service, pid: running.pid, starts })
    ended = endOf(running).then(({ how, code }) => onEnd(how, startedAt, code))
  }

  function onEnd(how: string, startedAt: number, code: number | null): void {
    child = undefined
    if (isStopping) {
      // A process that was asked before it could listen ends by the signal itself.
      const isFine = code === 0 || how === 'killed by SIGTERM'
      if (!isFine) onEvent({ kind: 'ended', service, how, againInMs: undefined })
      return
    }
    endsInRow = clock.monotonic() - startedAt >= healthyAfterMs ? 1 : endsInRow + 1
    const again = program.restart === 'always' || (program.restart === 'on-failure' && code !== 0)
    const againInMs = again ? restartDelayMs(endsInRow) : undefined
    onEvent({ kind: 'ended', service, how, againInMs })
    if (againInMs !== undefined) timer = clock.setTimeout(start, againInMs)
  }

  return {
    name: service,
    start,
    pid: () => child?.pid,
    async stop(drainMs) {
      isStopping = true
      clock.clearTimeout(timer)
      const running = child
      if (!running?.pid) return
      running.kill('SIGTERM')
      const pid = running.pid
      const deadline = clock.setTimeout(() => killGroup(pid), drainMs)
      await ended
      clock.clearTimeout(deadline)
    },
  }
}

function readLines(child: ChildProcess, onLine: (text: string) => void): void {
  for (const input of [child.stdout, child.stderr]) {
    if (input) createInterface({ input }).on('line', onLine)
  }
  // Nothing is ever written; a process that ends first must not end us.
  child.stdin?.on('error', () => {})
}

/** Resolves once the process has ended and its output is read; a signal counts as failure. */
function endOf(child: ChildProcess): Promise<{ how: string; code: number | null }> {
  return new Promise((resolve) => {
    child.once('error', ({ message }) => {
      // A process that never came to be emits nothing more.
      if (child.pid === undefined) resolve({ how: message, code: 1 })
    })
    // What it leaves behind in its group goes with it, else it would hold the output open.
    child.once('exit', () => child.pid !== undefined && killGroup(child.pid))
    child.once('close', (code, signal) => {
      resolve(signal ? { how: `killed by ${signal}`, code: 1 } : { how: `exit ${code}`, code })
    })
  })
}

function launch(program: ServiceProgram): ChildProcess {
  const [command, args] =
    program.module === undefined
      ? ['/bin/sh', ['-c', program.command ?? 'exit 0', 'sh', ...program.args]]
      : [
          process.execPath,
          ['--disable-warning=ExperimentalWarning', program.module, ...program.args],
        ]
  return spawn(command, args, {
    cwd: program.cwd,
    env: { ...program.environment, TREATY_SUPERVISED: '1' },
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group has already ended.
  }
}
