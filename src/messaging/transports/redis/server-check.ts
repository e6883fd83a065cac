import { TreatyError } from '../../../core/errors.ts'
import type { Link } from './link.ts'
import type { RedisPlace } from './url.ts'

/** Redis 7.0 brought effects of scripts as the only way to copy them; Valkey says 7.2.4 of itself. */
const oldest = [7, 0] as const

/** What of the server's settings costs no promise but should be known. */
export interface ServerFacts {
  /** `always`, `everysec`, `no`, or undefined where the server does not tell. */
  readonly fsync: string | undefined
}
/** Of a cluster; each belongs to one node. */
const slots = 16_384

/**
 * Looks whether the server keeps what it acknowledges.
 *
 * @throws BROKER_TOO_OLD · BROKER_UNSAFE · BROKER_READ_ONLY · BROKER_URL_INVALID for one of several nodes of a cluster ·
 *   BROKER_UNREACHABLE while it loads
 */
export async function checkServer(call: Link['call'], place: RedisPlace): Promise<ServerFacts> {
  const info = parseInfo(String(await call('INFO')))
  const { name } = place
  if (info.loading === '1') {
    throw new TreatyError('BROKER_UNREACHABLE', `the Redis server ${name} still loads its data`, {
      hint: 'Wait until it is ready: it is tried again.',
    })
  }
  const version = info.redis_version ?? '0'
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
    throw new TreatyError(
      'BROKER_TOO_OLD',
      `the Redis server ${name} is ${version}, and 7.0 is the oldest that will do`,
      {
        hint: 'Upgrade to Redis 7 or newer, or Valkey.',
        details: { version },
      },
    )
  }
  if (info.role === 'slave') {
    throw new TreatyError(
      'BROKER_READ_ONLY',
      `the Redis server ${name} is a replica and takes no writes`,
      {
        hint: `Use the address of the primary: ${info.master_host ?? ''}:${info.master_port ?? ''}.`,
      },
    )
  }
  refuseUnsafe(info, name)
  // The client goes on in the first database where that of the URL is not there: messages would be in the wrong place.
  if (place.database !== 0) await call('SELECT', String(place.database))
  if (info.cluster_enabled === '1') await refuseShared(call, name)
  return { fsync: await readFsync(call) }
}

/** A channel fits into one slot, but what is not of one channel is in others: every slot has to be here. */
async function refuseShared(call: Link['call'], name: string): Promise<void> {
  const nodes = String(await call('CLUSTER', 'NODES'))
  const ranges = /^.* (?:\S*,)?myself\b.*$/m.exec(nodes)?.[0].split(' ').slice(8) ?? []
  const own = ranges
    .map((range) => /^(\d+)(?:-(\d+))?$/.exec(range))
    .reduce(
      (sum, found) => sum + (found ? Number(found[2] ?? found[1]) - Number(found[1]) + 1 : 0),
      0,
    )
  if (own === slots) return
  throw new TreatyError(
    'BROKER_URL_INVALID',
    `the Redis server ${name} is a node of a cluster that has ${own} of its ${slots} slots, and Treaty needs all on one`,
    {
      hint: 'Use a server without cluster mode (a primary with replicas), or a cluster of one node.',
      details: { slots: own },
    },
  )
}

function refuseUnsafe(info: Readonly<Record<string, string>>, name: string): void {
  if (info.aof_enabled !== '1') {
    throw new TreatyError(
      'BROKER_UNSAFE',
      `the Redis server ${name} runs without appendonly yes and would lose what it has acknowledged`,
      {
        hint: 'Set appendonly yes (and appendfsync always) on the server.',
        details: { setting: 'appendonly' },
      },
    )
  }
  const policy = info.maxmemory_policy ?? 'noeviction'
  if (policy !== 'noeviction') {
    throw new TreatyError(
      'BROKER_UNSAFE',
      `the Redis server ${name} has maxmemory-policy ${policy} and would throw messages away when its memory is full`,
      {
        hint: 'Set maxmemory-policy noeviction on the server.',
        details: { setting: 'maxmemory-policy' },
      },
    )
  }
}

/** Managed servers often refuse to tell their settings. */
async function readFsync(call: Link['call']): Promise<string | undefined> {
  try {
    const reply = await call('CONFIG', 'GET', 'appendfsync')
    return Array.isArray(reply) && reply[1] !== undefined ? String(reply[1]) : undefined
  } catch {
    return undefined
  }
}

function parseInfo(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split(/\r?\n/)
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const at = line.indexOf(':')
        return [line.slice(0, at), line.slice(at + 1)]
      }),
  )
}
