import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How a child process comes to a store: an export `(url) => Store | Promise<Store>`. */
export interface ChildStore {
  /** Absolute URL of the module, as `new URL(…, import.meta.url)` gives it. */
  readonly module: string | URL
  readonly exportName: string
}

/** A call of one method of the store, made in a child process. */
export interface StoreCall {
  /** For example `records.put`; `log.append`. */
  readonly method: string
  readonly args: readonly unknown[]
  /** How often, one after another. Default 1. */
  readonly times?: number
  /** Tell each result at once, instead of all at the end. */
  readonly tells?: boolean
}
export type ToStoreChild =
  | {
      readonly open: { readonly module: string; readonly exportName: string; readonly url: string }
    }
  | { readonly call: number; readonly work: StoreCall }
export type FromStoreChild =
  | { readonly opened: true }
  | { readonly told: unknown }
  | { readonly call: number; readonly results: readonly unknown[] }
  | { readonly call: number; readonly error: string }

/** A process that is connected to the store and obeys. */
export interface StoreChild {
  /** Resolves with the results in order. Rejects when the process ends first. */
  call(work: StoreCall): Promise<readonly unknown[]>
  /** Results told so far. */
  readonly told: readonly unknown[]
  /** Resolves once this many results were told. */
  untilTold(count: number): Promise<void>
  /** SIGKILL; resolves once the process is gone. Safe to call twice. */
  kill(): Promise<void>
}

function forkProgram(): ChildProcess {
  // The same program runs from the sources (Node strips the types) and from the built package.
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const program = fileURLToPath(new URL(`./child${extension}`, import.meta.url))
  return fork(program, { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

/** Starts a child process and connects it to the store at `url`. */
export async function startStoreChild(child: ChildStore, url: string): Promise<StoreChild> {
  const forked = forkProgram()
  const waiting = new Map<number, PromiseWithResolvers<readonly unknown[]>>()
  const told: unknown[] = []
  const opened = Promise.withResolvers<void>()
  const telling = new Set<() => void>()
  let calls = 0

  const gone = new Promise<void>((resolve) => {
    forked.once('exit', (code, signal) => {
      const error = new Error(`the child process ended (${signal ?? code}) before it answered`)
      opened.reject(error)
      for (const each of waiting.values()) each.reject(error)
      waiting.clear()
      resolve()
    })
  })
  forked.on('message', (message: FromStoreChild) => {
    if ('opened' in message) {
      opened.resolve()
      return
    }
    if ('told' in message) {
      told.push(message.told)
      for (const look of telling) look()
      return
    }
    const call = waiting.get(message.call)
    waiting.delete(message.call)
    if ('results' in message) call?.resolve(message.results)
    else call?.reject(new Error(`in the child process: ${message.error}`))
  })
  const send = (message: ToStoreChild) => void forked.send(message)
  send({ open: { module: String(child.module), exportName: child.exportName, url } })
  await opened.promise

  return {
    told,
    call(work) {
      calls += 1
      const answer = Promise.withResolvers<readonly unknown[]>()
      // Somebody who lets a child crash in the middle of a call need not wait for the answer.
      answer.promise.catch(() => undefined)
      waiting.set(calls, answer)
      send({ call: calls, work })
      return answer.promise
    },
    untilTold: (count) =>
      new Promise((resolve) => {
        const look = () => {
          if (told.length < count) return
          telling.delete(look)
          resolve()
        }
        telling.add(look)
        look()
      }),
    async kill() {
      forked.kill('SIGKILL')
      await gone
    },
  }
}
