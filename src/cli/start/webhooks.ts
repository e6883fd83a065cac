import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { type Contract, displayPath } from '../../contracts/index.ts'
import { type Clock, delay, systemClock } from '../../core/clock.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { hasSecretReference } from '../../core/secret.ts'
import { createWebhookMetrics, registerWebhooks, type Server } from '../../server/index.ts'
import type { Store } from '../../store/index.ts'
import {
  type InboundAnswer,
  pathOfSource,
  type Receiver,
  type ReceiverEvent,
  type SenderEvent,
  type Webhooks,
  type WebhooksConfig,
  webhookContractMistakes,
} from '../../webhooks/index.ts'
import { failFor, webhookFindings } from '../config/file.ts'
import { loadModule } from './modules.ts'

/** How the configured webhooks meet the rest of a run. */
export interface WebhookPlan {
  readonly config: WebhooksConfig
  /** Paths of modules are meant from here. */
  readonly folder: string
  /** The value of a secret reference, masked wherever it would be printed. @throws SECRET_NOT_FOUND */
  readonly reveal: (reference: string) => string
  /** From now on this is never printed. */
  readonly conceal: (secret: string) => void
}

/** What the webhooks of a session need of the run around it. */
export interface WebhookSink {
  onReceiver(event: ReceiverEvent): void
  onSender(event: SenderEvent): void
}

/**
 * Compares the section with the loaded contracts; gives the warnings.
 *
 * @throws CONFIG_INVALID with the places of events and consumers that no contract has
 */
export function checkAgainstContracts(
  { config }: WebhookPlan,
  contracts: readonly Contract[],
  { file, cwd }: { readonly file: string | undefined; readonly cwd: string },
): readonly Finding[] {
  if (file === undefined) return []
  const findings = webhookFindings(file, webhookContractMistakes(config, contracts), cwd)
  failFor(findings, displayPath(file, cwd))
  return findings
}

/** Milliseconds for which a secret is not looked up again. */
const freshMs = 5000

/**
 * The secrets of a plan: those of environment and files are looked up again every few seconds, so that a change needs no
 * restart; those of the store are made when they are first asked for.
 *
 * @throws SECRET_NOT_FOUND for each that is not there now
 */
export async function openSecrets(
  { config, reveal, conceal }: WebhookPlan,
  store: Store,
  clock: Clock = systemClock,
): Promise<(reference: string) => string> {
  const made = new Map<string, string>()
  const known = new Map<string, { value: string; at: number }>()
  const secret = (reference: string): string => {
    const own = made.get(reference)
    if (own !== undefined) return own
    const before = known.get(reference)
    const now = clock.monotonic()
    if (before && now - before.at < freshMs) return before.value
    try {
      known.set(reference, { value: reveal(reference), at: now })
    } catch (error) {
      // A file that is just being replaced is no reason to refuse what the secret before would verify.
      if (!before) throw error
      known.set(reference, { ...before, at: now })
    }
    return known.get(reference)?.value ?? ''
  }
  for (const reference of referencesIn(config)) {
    if (reference.startsWith(storePrefix)) made.set(reference, await madeSecret(store, reference))
    else secret(reference)
  }
  for (const value of made.values()) conceal(value)
  return secret
}

const storePrefix = 'secret://store/'

/** A secret that Treaty itself makes, and keeps in the store: for two ends that both run on it. */
export async function madeSecret(store: Store, reference: string): Promise<string> {
  const name = reference.slice(storePrefix.length)
  const value = `whsec_${randomBytes(32).toString('base64')}`
  const put = await store.records.put('secrets', name, { value }, { expect: 0 })
  if (put) return value
  const kept = await store.records.get('secrets', name)
  return (kept?.value as { value: string } | undefined)?.value ?? madeSecret(store, reference)
}

function referencesIn(value: unknown): string[] {
  if (typeof value === 'string') {
    return value.startsWith(storePrefix) || hasSecretReference(value) ? [value] : []
  }
  if (typeof value !== 'object' || value === null) return []
  return [...new Set(Object.values(value).flatMap(referencesIn))]
}

/** Exports of a module that the configuration names, which must have one of these functions. @throws MODULE_INVALID */
export async function loadWebhookModule(
  folder: string,
  path: string,
): Promise<Readonly<Record<string, unknown>>> {
  const full = resolve(folder, path)
  const loaded = await loadModule(full)
  if (typeof loaded.map === 'function' || typeof loaded.handle === 'function') return loaded
  throw new TreatyError('MODULE_INVALID', `${path} exports neither \`map\` nor \`handle\``, {
    hint: 'Write: export function map(delivery) { … }, or export async function handle(delivery, context) { … }',
    details: { file: path },
  })
}

/** The door that stays while what is behind it comes later, is exchanged on a reload, and goes first. */
export interface WebhookDoor extends WebhookSink {
  /** From now on requests and calls go there. */
  attach(webhooks: Webhooks | undefined): void
  /** Turns requests away from now on, and waits up to `drainMs` for those at work. */
  close(drainMs: number): Promise<void>
}

/** Puts the routes of webhooks onto a server that does not listen yet. */
export async function openDoor(
  server: Server,
  config: WebhooksConfig,
  tell: WebhookSink & { readonly clock?: Clock },
): Promise<WebhookDoor> {
  const metrics = createWebhookMetrics()
  const clock = tell.clock ?? systemClock
  const receiver = new SwitchedReceiver(config, clock)
  let current: Webhooks | undefined
  const hasSender = config.sender !== undefined || config.endpoints !== undefined
  const sender = () => {
    if (current?.sender) return current.sender
    throw new TreatyError('NOT_READY', 'the sender of webhooks is not open yet')
  }
  const paths = Object.entries(config.sources ?? {})
    .filter(([, { path }]) => path !== undefined)
    .map(([name, source]) => [pathOfSource(name, source), name])
  await registerWebhooks(server.app, {
    ...(receiver.names.length === 0 ? {} : { receiver, paths: Object.fromEntries(paths) }),
    ...(hasSender ? { sender } : {}),
  })
  server.addMetrics(() => metrics.read({ sender: current?.sender }))
  server.addReplay((letter) => receiver.replay(letter))
  return {
    attach(webhooks) {
      current = webhooks
      receiver.current = webhooks?.receiver
    },
    onReceiver(event) {
      metrics.onReceiver(event)
      tell.onReceiver(event)
    },
    onSender(event) {
      metrics.onSender(event)
      tell.onSender(event)
    },
    close: (drainMs) => receiver.close(drainMs),
  }
}

const notReady: InboundAnswer = { status: 503, headers: { 'retry-after': '1' }, body: '' }

/** A receiver whose work another does, while there is one. */
class SwitchedReceiver implements Receiver {
  current: Receiver | undefined
  readonly clock: Clock
  readonly names: readonly string[]
  readonly #atWork = new Set<Promise<InboundAnswer>>()
  #isClosed = false

  constructor({ sources = {} }: WebhooksConfig, clock: Clock) {
    this.names = Object.keys(sources)
    this.clock = clock
  }

  get sourceNames(): readonly string[] {
    return this.current?.sourceNames ?? this.names
  }

  async receive(...[source, request]: Parameters<Receiver['receive']>): Promise<InboundAnswer> {
    if (this.#isClosed || !this.current) return notReady
    const work = this.current.receive(source, request)
    this.#atWork.add(work)
    try {
      return await work
    } finally {
      this.#atWork.delete(work)
    }
  }

  stats() {
    return this.current?.stats() ?? {}
  }

  async replay(...[letter]: Parameters<Receiver['replay']>): Promise<true | undefined> {
    return this.current?.replay(letter)
  }

  limitsOf(source: string) {
    const known = this.current?.limitsOf(source)
    if (known || this.current || !this.names.includes(source)) return known
    return { bytesMax: 1_048_576, timeMs: 10_000 }
  }

  async close(drainMs: number): Promise<void> {
    this.#isClosed = true
    const timer = new AbortController()
    await Promise.race([
      Promise.all(this.#atWork),
      delay(this.clock, drainMs, timer.signal).catch(() => undefined),
    ])
    timer.abort()
  }
}

/** What is worth a line: what somebody should look at. Undefined for what goes its way. */
export function senderText(event: SenderEvent): string | undefined {
  switch (event.kind) {
    case 'exhausted':
      return `${event.type} was not delivered in ${event.attempts} attempts: treaty webhook attempt list ${event.endpointId}`
    case 'endpoint.failing':
      return `has taken nothing for ${Math.round(event.share * 100)} % of the time after which it is disabled`
    case 'endpoint.disabled':
      return `disabled: ${event.reason}; what waits is kept for treaty webhook recover`
    case 'endpoint.recovered':
      return 'takes deliveries again'
    case 'filter.failed':
      return `${event.error} (${event.type})`
    case 'problem':
      return problemText(event.error)
    default:
      return undefined
  }
}

/** What is wrong beside the work. */
export function problemText(thrown: unknown): string {
  const code = isTreatyError(thrown) ? `[${thrown.code}] ` : ''
  return `${code}${errorMessage(thrown)}`
}
