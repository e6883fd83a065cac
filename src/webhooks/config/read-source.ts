import { valueAt } from '../../core/json.ts'
import type { InboundDelivery } from '../inbound/delivery.ts'
import type { Handshake } from '../inbound/handshake.ts'
import type { SourceOptions } from '../inbound/source.ts'
import type { Scheme } from '../scheme.ts'
import { bytes, given, milliseconds, perSecond } from './quantities.ts'
import type { EventConfig, FieldConfig, HandshakeConfig, SourceConfig } from './webhooks-config.ts'

/** What reading a configuration needs of the world. */
export interface SourceSurroundings {
  /** The value of a secret reference, asked for each request: what it stands for may change. @throws SECRET_NOT_FOUND */
  readonly secret: (reference: string) => string
  /** Exports of the module that a path of the configuration names. */
  readonly load: (path: string) => Promise<Readonly<Record<string, unknown>>>
  /** True for events of the loaded contracts. */
  readonly isEvent: (event: string) => boolean
}

/** The options of one source. @throws what loading a module throws */
export async function readSource(
  config: SourceConfig,
  around: SourceSurroundings,
): Promise<SourceOptions> {
  const { event, data, as, onInvalid, status } = config
  const map = await exported<NonNullable<SourceOptions['map']>>(config.map, 'map', around)
  const handle = await exported<NonNullable<SourceOptions['handle']>>(
    config.handle,
    'handle',
    around,
  )
  return {
    verify: verifyOf(config.verify, around),
    ...given({
      event: typeof event === 'object' ? eventOf(event, around) : event,
      map: map ?? (data === undefined ? undefined : dataOf(data)),
      handle,
      as,
      onInvalid,
      ackStatus: status,
      keepBytes: config.keepBytes,
      handshakes: config.handshakes?.map((one) => handshakeOf(one, around)),
      dedupe: dedupeOf(config.dedupe),
      limits: limitsOf(config.limits),
    }),
  }
}

async function exported<Made>(
  path: string | undefined,
  name: string,
  { load }: SourceSurroundings,
): Promise<Made | undefined> {
  return path === undefined ? undefined : ((await load(path))[name] as Made)
}

function verifyOf(
  config: SourceConfig['verify'],
  { secret }: SourceSurroundings,
): SourceOptions['verify'] {
  if (config === 'unsigned') return config
  const { scheme, secrets, tolerance, publicUrl } = config
  const references = typeof secrets === 'string' ? [secrets] : secrets
  const toleranceMs = milliseconds(tolerance)
  return {
    scheme: (typeof scheme === 'string' ? scheme : { kind: 'hmac', ...scheme }) as Scheme,
    secrets: () => references.map(secret),
    ...given({
      toleranceSeconds: toleranceMs === undefined ? undefined : toleranceMs / 1000,
      publicUrl,
    }),
  }
}

/** The text of a header or of a place in the body; undefined where there is none. */
function fieldOf(
  { header, field }: FieldConfig,
  { headers, json }: InboundDelivery,
): string | undefined {
  const value = header === undefined ? valueAt(json, field ?? '') : headers[header.toLowerCase()]
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}

function eventOf(
  config: EventConfig,
  { isEvent }: SourceSurroundings,
): (delivery: InboundDelivery) => string | undefined {
  const { prefix = '', map, otherwise = map ? 'ignore' : 'quarantine' } = config
  return (delivery) => {
    const found = fieldOf(config, delivery)
    const event =
      found === undefined || (map && !Object.hasOwn(map, found))
        ? undefined
        : (map?.[found] ?? prefix + found)
    if (event !== undefined && isEvent(event)) return event
    if (otherwise === 'ignore') return undefined
    if (event !== undefined) return event
    const place = config.header === undefined ? `the field ${config.field}` : config.header
    throw new Error(
      `${place} names no event${found === undefined ? '' : `: ${found.slice(0, 80)}`}`,
    )
  }
}

function dataOf(path: string): (delivery: InboundDelivery) => unknown {
  return ({ json }) => {
    const data = valueAt(json, path)
    if (data === undefined) throw new Error(`the body has nothing at ${path}`)
    return data
  }
}

function dedupeOf(config: SourceConfig['dedupe']): SourceOptions['dedupe'] {
  if (config === undefined) return undefined
  const { by, window, lease, key } = config
  return given({
    by,
    leaseMs: milliseconds(lease),
    keepMs: milliseconds(window),
    key: key && ((delivery: InboundDelivery) => fieldOf(key, delivery)),
  })
}

function limitsOf(config: SourceConfig['limits']): SourceOptions['limits'] {
  if (config === undefined) return undefined
  return given({
    bodyBytes: bytes(config.body),
    bodyMs: milliseconds(config.bodyTime),
    handleMs: milliseconds(config.handle),
    ratePerSecond: perSecond(config.rate),
    burst: config.burst,
    concurrent: config.concurrent,
    contentTypes: config.contentTypes,
  })
}

function handshakeOf(
  { verifyToken, ...rest }: HandshakeConfig,
  { secret }: SourceSurroundings,
): Handshake {
  const token = verifyToken === undefined ? {} : { verifyToken: secret(verifyToken) }
  return { ...rest, ...token } as Handshake
}
