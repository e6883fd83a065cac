import { tmpdir } from 'node:os'
import { systemClock } from '../core/clock.ts'
import type { StopSignals } from './host.ts'
import { run } from './run.ts'
import { readVersion } from './version.ts'

/** Milliseconds that a second Ctrl-C leaves to whatever still runs. */
const abortGraceMs = 2000

/** Signals as abort signals: the first asks to finish, the second to give up, a third ends at once. */
function listenForSignals(): StopSignals {
  const stopping = new AbortController()
  const aborting = new AbortController()
  const onSignal = (name: NodeJS.Signals) => {
    if (!stopping.signal.aborted) {
      process.stderr.write('stopping; once more to give up what is under way\n')
      stopping.abort(name)
    } else if (!aborting.signal.aborted) {
      aborting.abort(name)
      setTimeout(() => process.exit(name === 'SIGTERM' ? 143 : 130), abortGraceMs).unref()
    } else process.exit(name === 'SIGTERM' ? 143 : 130)
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return { stopping: stopping.signal, aborting: aborting.signal }
}

// A reader that has gone is told by the callback of each write; without a listener it would be a crash.
process.stdout.on('error', () => undefined)
process.stderr.on('error', () => undefined)

const code = await run({
  argv: process.argv.slice(2),
  cwd: process.cwd(),
  environment: process.env,
  // Touched only by commands that read it: opening standard input early would keep the process waiting.
  get input() {
    return process.stdin
  },
  out: process.stdout,
  err: process.stderr,
  clock: systemClock,
  version: readVersion,
  listenForSignals,
  crashFolder: tmpdir(),
})
process.stderr.write('', () => process.exit(code))
