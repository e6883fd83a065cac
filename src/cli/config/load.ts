import { dirname, resolve } from 'node:path'
import { displayPath, type Profile } from '../../contracts/index.ts'
import { parseDuration } from '../../core/duration.ts'
import { TreatyError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'
import { parseRate } from '../../core/rate.ts'
import type { Masker } from '../masking.ts'
import { suggest } from '../suggest.ts'
import { absoluteUrl, hasScheme } from './absolute-url.ts'
import { brokerExtras, secretTexts } from './broker-extras.ts'
import type { Config } from './define-config.ts'
import { failFor, placedFindings, readConfigFile } from './file.ts'
import type { KeySettings, ServiceSettings, Settings } from './settings.ts'

const defaults = {
  contracts: './contracts',
  transport: 'sqlite:./treaty.db',
  profile: 'default',
  port: 4400,
  host: '127.0.0.1',
  restart: 'on-failure',
} as const

export interface LoadSettingsOptions {
  /** Absolute; flags and environment mean their paths from here. */
  readonly cwd: string
  readonly environment: Readonly<Record<string, string | undefined>>
  /** What `--config` names. */
  readonly configFile?: string | undefined
  /** Arguments of the command; those that are also settings override the file. */
  readonly args: Readonly<Record<string, unknown>>
  readonly masker: Masker
}

/**
 * Merges flags > environment (`TREATY_…`) > file > defaults. Paths come out absolute, secret references unresolved.
 *
 * @throws CONFIG_INVALID · CONFIG_UNREADABLE
 */
export async function loadSettings(options: LoadSettingsOptions): Promise<Settings> {
  const { cwd, environment, args } = options
  const file = await readConfigFile(
    cwd,
    options.configFile ?? environment.TREATY_CONFIG,
    options.masker,
  )
  const config = (file?.value ?? {}) as Config
  const folder = file === undefined ? cwd : dirname(file.path)
  const flag = (name: string) => (typeof args[name] === 'string' ? args[name] : undefined)
  /** Flag, then environment, then file; each with the folder that its paths are meant from. */
  const pick = (name: 'transport' | 'store', variable: string) => {
    const outer = flag(name) ?? environment[variable]
    if (outer !== undefined) return absoluteUrl(outer, cwd)
    const inner = config[name]
    return inner === undefined ? undefined : absoluteUrl(inner, folder)
  }
  const transport = pick('transport', 'TREATY_TRANSPORT') ?? absoluteUrl(defaults.transport, folder)
  needPlace(flag('transport') ?? environment.TREATY_TRANSPORT ?? config.transport)
  const store = pick('store', 'TREATY_STORE')
  const service = flag('service') ?? environment.TREATY_SERVICE ?? config.service
  const settings: Settings = {
    ...(file === undefined ? {} : { file: file.path }),
    folder,
    contracts: await contractPaths(options, config, folder),
    transport,
    ...(store === undefined ? {} : { store: hasScheme(store) ? store : `sqlite:${store}` }),
    ...brokerExtras({ config, environment, cwd, folder }),
    ...(service === undefined ? {} : { service }),
    profile: (flag('profile') ??
      profileFrom(environment) ??
      config.profile ??
      defaults.profile) as Profile,
    handlers: asList(config.handlers).map((path) => resolve(folder, path)),
    feeds: Object.entries(config.feeds ?? {}).map(([name, feed]) => ({
      name,
      ...feed,
      module: resolve(folder, feed.module),
    })),
    services: Object.entries(config.services ?? {}).map(([name, service]) =>
      serviceOf(name, service, folder),
    ),
    server: serverOf(options, config),
    ...(config.connectors === undefined ? {} : { connectors: config.connectors }),
    ...(config.webhooks === undefined ? {} : { webhooks: config.webhooks }),
    limits: limitsOf(config, environment),
    show: config.show ?? {},
    fileSettings: countLeaves(file?.value ?? {}),
  }
  for (const url of [transport, store ?? '', ...secretTexts(settings)]) {
    options.masker.addPassword(url)
  }
  checkOutbox(settings, cwd)
  return settings
}

/** The name of a broker alone would be taken for that of a file, and nobody would notice. @throws TRANSPORT_UNKNOWN */
function needPlace(transport: unknown): void {
  const name = typeof transport === 'string' ? transport.toLowerCase() : ''
  const scheme = { rabbitmq: 'amqp', postgresql: 'postgres', valkey: 'redis' }[name] ?? name
  if (!['kafka', 'nats', 'amqp', 'redis', 'postgres'].includes(scheme)) return
  throw new TreatyError('TRANSPORT_UNKNOWN', `"${transport}" is no URL of a broker`, {
    hint: `Write ${scheme}://HOST${scheme === 'postgres' ? '/DATABASE' : ':PORT'}.`,
  })
}

/** An outbox without a URL is in the database of the transport; a broker is none. */
function checkOutbox({ outbox, transport, file }: Settings, cwd: string): void {
  if (outbox === undefined || outbox.url !== undefined || file === undefined) return
  if (/^(postgres(ql)?|sqlite|file|secret):/i.test(transport) || !hasScheme(transport)) return
  const message = '`outbox` names no database, and the transport is none'
  const hint =
    'Give outbox.url, the database of your own transactions: postgres://… or sqlite:FILE.'
  failFor(placedFindings(file, [{ path: ['outbox'], message, hint }], cwd), displayPath(file, cwd))
}

function limitsOf(
  { limits = {} }: Config,
  environment: LoadSettingsOptions['environment'],
): Settings['limits'] {
  const { messageBytesMax } = limits
  const drainMs = limits.drain === undefined ? undefined : parseDuration(limits.drain)
  const lease = environment.TREATY_LEASE_MS ?? limits.lease
  const leaseMs = lease === undefined ? undefined : (parseDuration(lease) ?? Number(lease))
  return {
    ...(messageBytesMax === undefined ? {} : { messageBytesMax }),
    ...(drainMs === undefined ? {} : { drainMs }),
    ...(leaseMs === undefined || !(leaseMs > 0) ? {} : { leaseMs }),
  }
}

async function contractPaths(
  { cwd, environment, args }: LoadSettingsOptions,
  config: Config,
  folder: string,
): Promise<string[]> {
  const given = Array.isArray(args.contracts) ? (args.contracts as string[]) : undefined
  const outer = given ?? environment.TREATY_CONTRACTS?.split(/[,\n]/).map((path) => path.trim())
  const [paths, from] = outer
    ? [outer, cwd]
    : [asList(config.contracts ?? defaults.contracts), folder]
  return Promise.all(paths.map((path) => contractPath(path, from)))
}

/** A pack is a folder like any other, so that checks, buses and services see the same. @throws PACK_NOT_FOUND */
async function contractPath(path: string, from: string): Promise<string> {
  if (!path.startsWith('pack:')) return resolve(from, path)
  const { packFolder, packNames } = await import('../../contracts/index.ts')
  const wanted = path.slice('pack:'.length)
  const name = packNames.find((known) => known === wanted)
  if (name !== undefined) return packFolder(name)
  throw new TreatyError('PACK_NOT_FOUND', `there is no pack ${wanted}`, {
    hint: suggest(wanted, packNames) ?? `Use one of: ${packNames.join(', ')}.`,
    details: { pack: wanted },
  })
}

function profileFrom(environment: LoadSettingsOptions['environment']): string | undefined {
  const profile = environment.TREATY_PROFILE
  if (profile === undefined || ['default', 'seed-compat', 'strict-ids'].includes(profile))
    return profile
  throw new TreatyError('CONFIG_INVALID', 'the environment variable TREATY_PROFILE is no profile', {
    hint: 'Use default, seed-compat or strict-ids.',
  })
}

function serverOf({ environment, args }: LoadSettingsOptions, config: Config): Settings['server'] {
  const { server = {} } = config
  const port = environment.TREATY_PORT
  if (port !== undefined && (!/^\d+$/.test(port) || Number(port) > 65_535)) {
    throw new TreatyError('CONFIG_INVALID', 'the environment variable TREATY_PORT is no port', {
      hint: 'Use a whole number from 0 to 65535.',
    })
  }
  return {
    port:
      (args.port as number | undefined) ??
      (port === undefined ? server.port : Number(port)) ??
      defaults.port,
    host:
      (args.host as string | undefined) ?? environment.TREATY_HOST ?? server.host ?? defaults.host,
    keys: (server.keys ?? []).map(
      (key): KeySettings => ({ ...key, scopes: asList(key.scopes) as KeySettings['scopes'] }),
    ),
    allowedHosts: asList(server.allowedHosts),
    ...rateLimitOf(server),
  }
}

function rateLimitOf({
  rateLimit,
}: NonNullable<Config['server']>): Pick<Settings['server'], 'rateLimit'> {
  const perSecond = rateLimit && parseRate(rateLimit.rate)
  if (perSecond === undefined) return {}
  const { burst } = rateLimit ?? {}
  return { rateLimit: { perSecond, ...(burst === undefined ? {} : { burst }) } }
}

function serviceOf(
  name: string,
  service: NonNullable<Config['services']>[string],
  folder: string,
): ServiceSettings {
  const { command, module, args, env, restart, cwd } = service
  return {
    name,
    ...(command === undefined ? {} : { command }),
    ...(module === undefined ? {} : { module: resolve(folder, module) }),
    args: args ?? [],
    env: env ?? {},
    restart: restart ?? defaults.restart,
    cwd: resolve(folder, cwd ?? '.'),
  }
}

function asList<Item>(value: Item | readonly Item[] | undefined): readonly Item[] {
  if (value === undefined) return []
  return Array.isArray(value) ? (value as readonly Item[]) : [value as Item]
}

function countLeaves(value: JsonObject): number {
  return Object.values(value).reduce<number>(
    (sum, inner) =>
      sum +
      (typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? countLeaves(inner as JsonObject)
        : 1),
    0,
  )
}
