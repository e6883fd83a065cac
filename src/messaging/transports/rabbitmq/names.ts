import { createHash } from 'node:crypto'

/** Longest name that AMQP has: a short string. */
const bytesMax = 255

/** Names of what we make on a broker. */
export interface Names {
  /** What contracts made here: channels and groups. */
  readonly catalogue: string
  /** Direct; routing key = group. */
  readonly members: string
  /** Dead letters without a group. */
  readonly refused: string
  /** Counts of what was refused before it was published. */
  readonly refusals: string
  member(id: string): string
  wait(tierMs: number): string
  /** Where everybody publishes, other programs too; named as the channel's address. */
  exchange(address: string): string
  /** Direct, behind the exchange; routing key = number of the lane. */
  lanes(address: string): string
  /** What has no lane's number as its routing key. */
  others(address: string): string
  tally(address: string): string
  lane(group: string, address: string, lane: number): string
  journal(group: string, address: string, lane: number): string
  dead(group: string): string
  /** Routing key of a group's members. */
  key(group: string): string
}

/** All names begin with `prefix`; what only we use goes on with `treaty:`. */
export function namesUnder(prefix: string): Names {
  const own = (kind: string, ...parts: readonly string[]) =>
    fitting([`${prefix}treaty:${kind}`, ...parts.map(escaped)].join(':'))
  return {
    catalogue: own('catalogue'),
    members: own('members'),
    refused: own('refused'),
    refusals: own('refusals'),
    member: (id) => own('member', id),
    wait: (tierMs) => own('wait', String(tierMs)),
    exchange(address) {
      const name = `${prefix}${address}`
      // The broker keeps names that begin so to itself, and the empty one; ours are not to be met either.
      const isTaken = name === '' || name.startsWith('amq.') || address.startsWith('treaty:')
      return fitting(isTaken ? `${prefix}treaty:channel:${escaped(address)}` : name)
    },
    lanes: (address) => own('lanes', address),
    others: (address) => own('others', address),
    tally: (address) => own('tally', address),
    lane: (group, address, lane) => own('lane', group, address, String(lane)),
    journal: (group, address, lane) => own('journal', group, address, String(lane)),
    dead: (group) => own('dead', group),
    key: (group) => fitting(group),
  }
}

/** The sign between the parts of a name stays unique. */
function escaped(part: string): string {
  return part.replaceAll('%', '%25').replaceAll(':', '%3A')
}

/** A name that is too long ends in a digest. */
function fitting(name: string): string {
  const bytes = Buffer.from(name)
  if (bytes.length <= bytesMax) return name
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 32)
  // A character of several bytes may be cut in two.
  const head = bytes
    .subarray(0, bytesMax - 33)
    .toString('utf8')
    .replace(/\uFFFD+$/, '')
  return `${head}~${digest}`
}

/** A lane of a group, as it is called towards the core. */
export interface LanePlace {
  readonly address: string
  readonly lane: number
}
export function laneName({ address, lane }: LanePlace): string {
  return `${lane}@${address}`
}
