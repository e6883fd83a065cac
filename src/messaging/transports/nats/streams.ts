import { isApiError, jsCode } from './errors.ts'
import { channelSubjects, type Places, streamSubjects } from './names.ts'
import { atLeast } from './reads.ts'
import type { Wire } from './wire.ts'

/** What JetStream says of a stream, as far as we look. */
export interface StreamInfo {
  readonly config: StreamConfig
  readonly state: {
    readonly messages: number
    readonly first_seq: number
    readonly last_seq: number
    readonly subjects?: Readonly<Record<string, number>>
  }
}
export interface StreamConfig {
  readonly name: string
  readonly subjects?: readonly string[]
  readonly description?: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly max_age?: number
  readonly max_msgs?: number
  readonly max_bytes?: number
  readonly max_msgs_per_subject?: number
  readonly discard?: string
  readonly retention?: string
  readonly storage?: string
  readonly num_replicas?: number
  readonly duplicate_window?: number
  readonly allow_direct?: boolean
  readonly allow_atomic?: boolean
  readonly allow_msg_ttl?: boolean
  readonly allow_msg_schedules?: boolean
}

/** How long a message id is known to a channel, in milliseconds: what the server itself takes where nothing is said. */
export const duplicateWindowMs = 120_000
/** In the description of every stream that we made. */
const ourMark = 'Treaty'
const ttlVersion = [2, 11] as const
const batchVersion = [2, 12] as const

/** What this server can; by its version, because older ones ignore silently what they do not know. */
export interface Features {
  /** Messages that go away by themselves. */
  readonly ttl: boolean
  /** Several messages taken as one. */
  readonly batches: boolean
  /** Messages that the server publishes at their time. */
  readonly schedules: boolean
}

export function featuresOf(wire: Wire): Features {
  const isNew = atLeast(wire, batchVersion)
  return { ttl: atLeast(wire, ttlVersion), batches: isNew, schedules: isNew }
}

export async function streamInfo(
  wire: Wire,
  name: string,
  subjects?: string,
): Promise<StreamInfo | undefined> {
  try {
    const request = subjects === undefined ? undefined : { subjects_filter: subjects }
    return await wire.api<StreamInfo>(`STREAM.INFO.${name}`, request)
  } catch (error) {
    if (isApiError(error, jsCode.streamNotFound)) return undefined
    throw error
  }
}

/** The streams that every namespace has. Made when missing, by whoever comes first. */
export async function ensureOwnStreams(
  wire: Wire,
  places: Places,
  options: { readonly namespace: string; readonly replicas: number },
): Promise<void> {
  const subjects = streamSubjects(options.namespace)
  const base = {
    retention: 'limits',
    storage: 'file',
    discard: 'old',
    max_msgs_per_subject: 1,
    num_replicas: options.replicas,
    allow_direct: true,
  }
  const { ttl, batches } = featuresOf(wire)
  const wanted = [
    {
      ...base,
      name: places.stateStream,
      subjects: subjects.state,
      description: `${ourMark}: topology and state of lanes`,
      ...(batches ? { allow_atomic: true } : {}),
    },
    // Members are judged by the times that the server wrote; the age only clears away what nobody looks at any more.
    {
      ...base,
      name: places.memberStream,
      subjects: subjects.members,
      description: `${ourMark}: replicas`,
      max_age: 3_600_000_000_000,
    },
    {
      ...base,
      name: places.deadStream,
      subjects: subjects.dead,
      description: `${ourMark}: dead letters`,
      ...(ttl ? { allow_msg_ttl: true } : {}),
    },
  ]
  await Promise.all(wanted.map((config) => createStream(wire, config)))
}

/** Creates a stream. False: it is there already, perhaps since just now. */
export async function createStream(wire: Wire, config: StreamConfig): Promise<boolean> {
  const present = await streamInfo(wire, config.name)
  if (present !== undefined) {
    await upgradeStream(wire, present, config)
    return false
  }
  try {
    await wire.api(`STREAM.CREATE.${config.name}`, config)
    return true
  } catch (error) {
    if (isApiError(error, jsCode.streamNameInUse)) return false
    throw error
  }
}

const allowances = ['allow_direct', 'allow_atomic', 'allow_msg_ttl', 'allow_msg_schedules'] as const

/** Switches on what the server could not do yet when a stream of ours was made. */
export async function upgradeStream(
  wire: Wire,
  { config }: StreamInfo,
  wanted: StreamConfig,
): Promise<void> {
  const lacking = allowances.filter((name) => wanted[name] === true && config[name] !== true)
  if (lacking.length === 0 || !isOurs(config)) return
  const more = Object.fromEntries(lacking.map((name) => [name, true]))
  await wire.api(`STREAM.UPDATE.${config.name}`, { ...config, ...more })
}

/** The stream of a channel. Nothing leaves it by age or size: we trim it, below what every group has finished. */
export function channelConfig(
  wire: Wire,
  channel: { readonly address: string; readonly stream: string },
  options: { readonly namespace: string; readonly replicas: number },
): StreamConfig {
  const { batches, schedules, ttl } = featuresOf(wire)
  return {
    name: channel.stream,
    subjects: channelSubjects(channel.address),
    description: `${ourMark}: channel ${channel.address} of ${options.namespace}`,
    retention: 'limits',
    storage: 'file',
    discard: 'old',
    num_replicas: options.replicas,
    duplicate_window: duplicateWindowMs * 1_000_000,
    allow_direct: true,
    ...(batches ? { allow_atomic: true } : {}),
    ...(ttl ? { allow_msg_ttl: true } : {}),
    ...(schedules ? { allow_msg_schedules: true } : {}),
  }
}

export function isOurs(config: StreamConfig): boolean {
  return config.description?.startsWith(`${ourMark}:`) === true
}

/** Why a stream that is there would break a promise of a channel; empty: it would not. */
export function limitsOf(config: StreamConfig): string[] {
  const found: string[] = []
  if ((config.max_age ?? 0) > 0) found.push(`max_age ${(config.max_age ?? 0) / 1e9} s`)
  if ((config.max_msgs ?? -1) > 0) found.push(`max_msgs ${config.max_msgs}`)
  if ((config.max_bytes ?? -1) > 0) found.push(`max_bytes ${config.max_bytes}`)
  if ((config.max_msgs_per_subject ?? -1) > 0) {
    found.push(`max_msgs_per_subject ${config.max_msgs_per_subject}`)
  }
  if (config.retention !== undefined && config.retention !== 'limits') {
    found.push(`retention ${config.retention}`)
  }
  if (config.storage === 'memory') found.push('storage memory')
  return found
}
