import { spawn } from 'node:child_process'

export interface ExecOptions {
  /** Given on standard input. */
  readonly input: string
  readonly cwd: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Gives up: the command and what it started are told to end (SIGTERM). */
  readonly signal: AbortSignal
}
export type ExecResult = { readonly ok: true } | { readonly ok: false; readonly reason: string }

/**
 * Runs a command by /bin/sh -c. It gets a process group of its own, so that Ctrl-C in a terminal reaches us and not it;
 * what it prints goes to standard error, because standard output is ours.
 */
export function runForMessage(command: string, options: ExecOptions): Promise<ExecResult> {
  return new Promise((resolve) => {
    const child = spawn('/bin/sh', ['-c', command], {
      cwd: options.cwd,
      env: options.environment,
      detached: true,
      stdio: ['pipe', 2, 2],
    })
    const onAbort = () => endGroup(child.pid)
    options.signal.addEventListener('abort', onAbort, { once: true })
    const end = (result: ExecResult) => {
      options.signal.removeEventListener('abort', onAbort)
      resolve(result)
    }
    child.on('error', (error) =>
      end({ ok: false, reason: `the command cannot be run: ${error.message}` }),
    )
    child.on('exit', (code, signal) => {
      if (code === 0) end({ ok: true })
      else
        end({
          ok: false,
          reason:
            code === null ? `the command was ended by ${signal}` : `the command ended with ${code}`,
        })
    })
    // A command that does not read its input ends before we have written it.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(options.input)
    if (options.signal.aborted) onAbort()
  })
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGTERM')
  } catch {
    // It has already ended.
  }
}
