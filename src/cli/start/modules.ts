import { existsSync } from 'node:fs'
import { relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { errorMessage, TreatyError } from '../../core/errors.ts'
import type { Bus, ConsumeOptions, Handler } from '../../messaging/index.ts'
import type { Store } from '../../store/index.ts'
import type { Sender } from '../../webhooks/index.ts'

/** What a handler module exports: `export const handlers = { billing: { 'order.placed': handle } }`. */
export interface HandlerModule {
  /** Consumer → event → handler, or `*` for every event of that consumer. */
  readonly handlers: Readonly<Record<string, Readonly<Record<string, Handler>>>>
  readonly options?: Readonly<Record<string, Pick<ConsumeOptions, 'concurrency' | 'prefetch'>>>
}

/** What a feed gets: where messages come from. */
export interface Feed {
  readonly bus: Bus
  /** For the feed's own progress, so that a second start repeats nothing. */
  readonly store: Store
  /** Where the server of this run answers: `http://127.0.0.1:4400`. */
  readonly url: string
  /** Sends webhooks, where the configuration has a sender. */
  readonly sender?: Sender
  /** The value of a secret reference; `secret://store/NAME` is made when it is first asked for. @throws SECRET_NOT_FOUND */
  secret(reference: string): Promise<string>
  /** Aborts when everything is to end. */
  readonly signal: AbortSignal
  /** Says something to people. */
  report(text: string): void
}
export interface FeedModule {
  run(feed: Feed): Promise<void>
}

/** @throws MODULE_INVALID when it is not there, cannot be loaded, or exports no handlers */
export async function loadHandlerModule(path: string): Promise<HandlerModule> {
  const loaded = await loadModule(path)
  const { handlers } = loaded
  if (!isRecord(handlers) || !Object.values(handlers).every(isHandlerMap)) {
    throw invalid(path, 'it exports no `handlers` by consumer and event', {
      hint: "Write: export const handlers = { CONSUMER: { 'EVENT': async (message, context) => { … } } }",
    })
  }
  return loaded as unknown as HandlerModule
}

/** @throws MODULE_INVALID when it is not there, cannot be loaded, or exports no `run` */
export async function loadFeedModule(path: string): Promise<FeedModule> {
  const loaded = await loadModule(path)
  if (typeof loaded.run !== 'function') {
    throw invalid(path, 'it exports no function `run`', {
      hint: 'Write: export async function run(feed) { … }',
    })
  }
  return loaded as unknown as FeedModule
}

/** @throws MODULE_INVALID when a program is not there: before anything is started */
export function needFile(path: string): void {
  if (!existsSync(path)) throw invalid(path, 'there is no such file')
}

/** Exports of a module. @throws MODULE_INVALID when it is not there or cannot be loaded */
export async function loadModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  needFile(path)
  try {
    return (await import(pathToFileURL(path).href)) as Readonly<Record<string, unknown>>
  } catch (cause) {
    throw invalid(path, `it cannot be loaded: ${errorMessage(cause)}`, { cause })
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

function isHandlerMap(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((handler) => typeof handler === 'function')
}

function invalid(
  path: string,
  reason: string,
  more: { hint?: string; cause?: unknown } = {},
): TreatyError {
  const name = relative(process.cwd(), path) || path
  return new TreatyError('MODULE_INVALID', `${name} cannot be used: ${reason}`, {
    hint: more.hint ?? 'Check the path under handlers, services or feeds in the configuration.',
    details: { file: name },
    ...(more.cause === undefined ? {} : { cause: more.cause }),
  })
}
