import { parseDuration } from '../../core/duration.ts'
import { absoluteUrl } from './absolute-url.ts'
import type { Config } from './define-config.ts'
import type { SchemaRegistrySettings, Settings } from './settings.ts'

interface Given {
  readonly config: Config
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Folder of the configuration file. */
  readonly folder: string
}

/** What stands beside the transport: outbox, inbox and schema registry, where the environment or the file names them. */
export function brokerExtras(given: Given): Pick<Settings, 'outbox' | 'inbox' | 'schemaRegistry'> {
  const { config, environment } = given
  const outboxUrl = urlOf(given, environment.TREATY_OUTBOX, config.outbox?.url)
  const inboxUrl = urlOf(given, environment.TREATY_INBOX, config.inbox?.url)
  const outbox = outboxUrl === undefined ? config.outbox : { ...config.outbox, url: outboxUrl }
  const schemaRegistry = registryOf(config.schemaRegistry, environment.TREATY_SCHEMA_REGISTRY)
  return {
    ...(outbox === undefined ? {} : { outbox }),
    ...(inboxUrl === undefined ? {} : { inbox: { url: inboxUrl } }),
    ...(schemaRegistry === undefined ? {} : { schemaRegistry }),
  }
}

function urlOf(
  { cwd, folder }: Given,
  outer: string | undefined,
  inner: string | undefined,
): string | undefined {
  if (outer !== undefined) return databaseUrl(outer, cwd)
  return inner === undefined ? undefined : databaseUrl(inner, folder)
}

/** A plain path is a file of SQLite. */
function databaseUrl(url: string, from: string): string {
  const absolute = absoluteUrl(url, from)
  return absolute.startsWith('/') ? `sqlite:${absolute}` : absolute
}

function registryOf(
  given: Config['schemaRegistry'],
  outer: string | undefined,
): SchemaRegistrySettings | undefined {
  const url = outer ?? given?.url
  if (url === undefined) return undefined
  const { timeout, ...more } = given ?? {}
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout)
  return { ...more, url, ...(timeoutMs === undefined ? {} : { timeoutMs }) }
}

/** Everything in these settings that may hold secret references. */
export function secretTexts({ outbox, inbox, schemaRegistry }: Settings): readonly string[] {
  const { auth } = schemaRegistry ?? {}
  const proof =
    auth === undefined ? [] : 'token' in auth ? [auth.token] : [auth.user, auth.password]
  return [outbox?.url, inbox?.url, schemaRegistry?.url, ...proof].filter(
    (text): text is string => text !== undefined,
  )
}
