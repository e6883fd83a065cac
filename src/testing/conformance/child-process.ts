import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type {
  ChildCommand,
  ChildEvent,
  ChildReply,
  ChildSetup,
  FromChild,
  ToChild,
} from './child-protocol.ts'
import { waitUntil, within } from './waiting.ts'

/** A process that is connected to the broker and obeys. */
export interface Child {
  readonly pid: number
  /** What it told unasked, in order. */
  readonly events: readonly ChildEvent[]
  /** The events of one kind. */
  of<Kind extends ChildEvent['kind']>(kind: Kind): Extract<ChildEvent, { kind: Kind }>[]
  /** Resolves with its answer. Rejects when it fails or ends first. */
  call(command: ChildCommand): Promise<ChildReply>
  /** Resolves once `condition` holds for its events. */
  until(condition: (child: Child) => boolean, what: string): Promise<void>
  /** SIGKILL; resolves once the process is gone. Safe to call twice. */
  kill(): Promise<void>
  /** SIGSTOP: it stands still in the middle of whatever it does. */
  freeze(): void
  /** SIGCONT */
  thaw(): void
  /** Resolves once it is gone, by whatever cause. */
  readonly gone: Promise<void>
}

const childBoundMs = 40_000

function forkProgram(): ChildProcess {
  // The same program runs from the sources (Node strips the types) and from the built package.
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const program = fileURLToPath(new URL(`./child${extension}`, import.meta.url))
  return fork(program, {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

/** Starts a child process and connects it to the broker. */
export async function startChild(setup: ChildSetup): Promise<Child> {
  const forked = forkProgram()
  const events: ChildEvent[] = []
  const waiting = new Map<number, PromiseWithResolvers<ChildReply>>()
  const failures: string[] = []
  let calls = 0

  // What it said before it ended may arrive after the news of its end.
  const silent = new Promise<void>((resolve) => forked.once('disconnect', resolve))
  const gone = new Promise<void>((resolve) => {
    forked.once('exit', (code, signal) => {
      for (const each of waiting.values()) {
        each.reject(new Error(`the child process ended (${signal ?? code}) before it answered`))
      }
      waiting.clear()
      void silent.then(resolve)
    })
  })
  forked.on('message', (message: FromChild) => {
    if ('event' in message) {
      events.push(message.event)
      return
    }
    const call = waiting.get(message.call)
    waiting.delete(message.call)
    if ('reply' in message) call?.resolve(message.reply)
    else if (call) call.reject(new Error(`in the child process: ${message.error}`))
    else failures.push(message.error)
  })

  const child: Child = {
    pid: forked.pid ?? -1,
    events,
    of: (kind) => events.filter((event) => event.kind === kind) as never,
    call(command) {
      calls += 1
      const answer = Promise.withResolvers<ChildReply>()
      waiting.set(calls, answer)
      const message: ToChild = { call: calls, command }
      forked.send(message, (error) => {
        if (error) answer.reject(error)
      })
      // Somebody who lets a child crash in the middle of a call need not wait for the answer.
      answer.promise.catch(() => undefined)
      return answer.promise
    },
    until: (condition, what) =>
      waitUntil(
        () => {
          if (failures.length > 0) throw new Error(`in the child process: ${failures[0]}`)
          return condition(child)
        },
        {
          boundMs: childBoundMs,
          what: () => `${what} in a child process (${events.length} events)`,
        },
      ),
    async kill() {
      forked.kill('SIGKILL')
      await gone
    },
    freeze: () => void forked.kill('SIGSTOP'),
    thaw: () => void forked.kill('SIGCONT'),
    gone,
  }
  await within(child.call({ kind: 'connect', setup }), {
    boundMs: childBoundMs,
    what: () => 'a child process to connect',
  })
  return child
}
