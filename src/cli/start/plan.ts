import { Secret } from '../../core/secret.ts'
import type { ApiKey } from '../../server/index.ts'
import { type BusExtras, busExtras } from '../bus-extras.ts'
import type { CommandContext } from '../command.ts'
import type { Settings } from '../config/settings.ts'
import { needFile } from './modules.ts'
import type { ServiceProgram } from './supervisor.ts'
import type { WebhookPlan } from './webhooks.ts'

/** A module that brings messages in. */
export interface FeedPlan {
  readonly name: string
  /** Absolute. */
  readonly module: string
  /** The producer it speaks for. */
  readonly as?: string
}

/** What to run, with every default and secret resolved. */
export interface StartPlan {
  readonly folder: string
  readonly configFile: string | undefined
  readonly contracts: readonly string[]
  readonly transport: string
  readonly store: string | undefined
  /** Outbox, inbox and schema registry. */
  readonly extras: BusExtras
  readonly service: string | undefined
  readonly profile: Settings['profile']
  readonly messageBytesMax: number | undefined
  readonly leaseMs: number
  readonly drainMs: number
  readonly host: string
  readonly port: number
  readonly keys: readonly ApiKey[]
  readonly allowedHosts: readonly string[]
  readonly rateLimit: Settings['server']['rateLimit']
  /** Path of the Confluent-compatible facade. */
  readonly confluentAt: string
  readonly programs: readonly ServiceProgram[]
  /** Absolute paths of handler modules. */
  readonly handlers: readonly string[]
  readonly feeds: readonly FeedPlan[]
  readonly webhooks: WebhookPlan | undefined
  /** The value of a secret reference. @throws SECRET_NOT_FOUND */
  readonly reveal: (reference: string) => string
  /** Event → what a line says when one is published. */
  readonly show: Readonly<Record<string, string>>
}

/** Milliseconds after which a killed service's messages are handed on: short, for somebody is watching. */
const leaseMsDefault = 5000
const drainMsDefault = 10_000

/** Arguments that the settings do not decide alone. */
export interface StoreArguments {
  readonly store?: string
  readonly transport?: string
  readonly confluentAt?: string
}

/**
 * The plan for one start.
 *
 * @throws CONFIG_INVALID · SECRET_NOT_FOUND · MODULE_INVALID when a program or module is not there
 */
export async function makePlan(
  context: CommandContext,
  args: StoreArguments,
  withPrograms: boolean,
): Promise<StartPlan> {
  const settings = await context.settings()
  const transport = transportOf(context, settings, args)
  const leaseMs = settings.limits.leaseMs ?? leaseMsDefault
  const programs = withPrograms ? settings.services : []
  const handlers = withPrograms ? settings.handlers : []
  const feeds = withPrograms ? settings.feeds : []
  for (const path of [...handlers, ...feeds.map((feed) => feed.module)]) needFile(path)
  for (const { module } of programs) if (module !== undefined) needFile(module)
  return {
    folder: settings.folder,
    configFile: settings.file,
    contracts: settings.contracts,
    transport,
    store: settings.store === undefined ? undefined : context.reveal(settings.store),
    extras: extrasOf(context, settings, withPrograms),
    service: settings.service,
    profile: settings.profile,
    messageBytesMax: settings.limits.messageBytesMax,
    leaseMs,
    drainMs: settings.limits.drainMs ?? drainMsDefault,
    host: settings.server.host,
    port: settings.server.port,
    keys: settings.server.keys.map((key) => ({
      name: key.name,
      scopes: key.scopes,
      ...(key.sha256 === undefined ? {} : { sha256: key.sha256 }),
      ...(key.key === undefined ? {} : { key: new Secret(key.key, context.reveal(key.key)) }),
    })),
    allowedHosts: settings.server.allowedHosts,
    rateLimit: settings.server.rateLimit,
    confluentAt: args.confluentAt ?? '/confluent',
    programs: programs.map(({ env, ...program }) => ({
      ...program,
      environment: {
        ...context.environment,
        TREATY_TRANSPORT: transport,
        TREATY_CONTRACTS: settings.contracts.join('\n'),
        TREATY_LEASE_MS: String(leaseMs),
        ...placesOf(context, settings),
        ...Object.fromEntries(
          Object.entries(env).map(([name, value]) => [name, context.reveal(value)]),
        ),
      },
    })),
    handlers,
    feeds,
    webhooks: settings.webhooks && {
      config: settings.webhooks,
      folder: settings.folder,
      reveal: (reference) => context.reveal(reference),
      conceal: (secret) => context.conceal(secret),
    },
    reveal: (reference) => context.reveal(reference),
    show: settings.show,
  }
}

/** Where only the API is served, nothing is sent. */
function extrasOf(context: CommandContext, settings: Settings, withPrograms: boolean): BusExtras {
  const extras = busExtras(settings, (text) => context.reveal(text))
  if (withPrograms || extras.outbox === undefined) return extras
  return { ...extras, outbox: { ...extras.outbox, relay: false } }
}

/** Programs learn where outbox and inbox are as they learn of the transport. */
function placesOf(
  context: CommandContext,
  { outbox, inbox }: Settings,
): Readonly<Record<string, string>> {
  return {
    ...(outbox?.url === undefined ? {} : { TREATY_OUTBOX: context.reveal(outbox.url) }),
    ...(inbox === undefined ? {} : { TREATY_INBOX: context.reveal(inbox.url) }),
  }
}

/** `--store FILE` alone names the file of the embedded broker too: one file holds everything. */
function transportOf(context: CommandContext, settings: Settings, args: StoreArguments): string {
  const isEmbedded = /^(?:sqlite|memory):/i.test(settings.transport)
  const chosen =
    args.store !== undefined && args.transport === undefined && isEmbedded
      ? settings.store
      : undefined
  const url = context.reveal(chosen ?? settings.transport)
  return /^[a-z][a-z0-9+.-]*:/i.test(url) ? url : `sqlite:${url}`
}
