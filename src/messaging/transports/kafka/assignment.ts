/**
 * Who owns which lane, decided by one member for all after every join or leave, and told through the embedded protocol of consumers, so that Kafka's own
 * tools can show it. A lane stays with its owner as long as that one has no more than its share; what is too much is first given back, and handed out in
 * the next round, so that no lane ever has two owners and nothing else stands still (as in KIP-429).
 */

/** What a member says of itself when it joins. */
export interface MemberClaim {
  readonly id: string
  /** Lanes that it owns, those that it would rather keep first. */
  readonly lanes: readonly string[]
}
export interface MemberShare {
  readonly lanes: readonly string[]
  /** Lanes will change their owner in the next round. */
  readonly isPending: boolean
}

/** Shares of all members. Deterministic. */
export function shareLanes(
  lanes: readonly string[],
  members: readonly MemberClaim[],
): ReadonlyMap<string, MemberShare> {
  const there = new Set(lanes)
  const taken = new Set<string>()
  const claims = [...members]
    .sort((one, two) => (one.id < two.id ? -1 : 1))
    .map(({ id, lanes: owned }) => ({
      id,
      owned: owned.filter((lane) => {
        const isFree = there.has(lane) && !taken.has(lane)
        taken.add(lane)
        return isFree
      }),
    }))
  const free = lanes.filter((lane) => !taken.has(lane))
  const least = Math.floor(lanes.length / Math.max(1, members.length))
  let more = lanes.length % Math.max(1, members.length)
  // Whoever owns most keeps one more where it does not come out even: the fewest lanes move.
  const byWealth = [...claims].sort((one, two) => two.owned.length - one.owned.length)
  const shares = new Map<string, string[]>()
  let isPending = false
  for (const { id, owned } of byWealth) {
    const quota = least + (more > 0 ? 1 : 0)
    if (more > 0) more -= 1
    const kept = owned.slice(0, quota)
    if (kept.length < owned.length) isPending = true
    while (kept.length < quota && free.length > 0) kept.push(free.shift() as string)
    shares.set(id, kept)
  }
  return new Map([...shares].map(([id, own]) => [id, { lanes: own, isPending }]))
}

interface ClaimData {
  readonly lanes: readonly string[]
  readonly nonce: string
}

/** What a member sends when it joins: version 0 of Kafka's subscription, with our own data in it. */
export function encodeClaim(topics: readonly string[], data: ClaimData): Buffer {
  const names = topics.flatMap((topic) => [int16(Buffer.byteLength(topic)), Buffer.from(topic)])
  return Buffer.concat([int16(0), int32(topics.length), ...names, sized(JSON.stringify(data))])
}

/** @returns no lanes for what is not ours. */
export function decodeClaim(id: string, bytes: Buffer): MemberClaim {
  try {
    let at = 2
    let count = bytes.readInt32BE(at)
    at += 4
    for (; count > 0; count -= 1) at += 2 + bytes.readInt16BE(at)
    const length = bytes.readInt32BE(at)
    const data = JSON.parse(bytes.toString('utf8', at + 4, at + 4 + length)) as ClaimData
    return { id, lanes: data.lanes }
  } catch {
    return { id, lanes: [] }
  }
}

/** What a member is told: version 0 of Kafka's assignment, with our own data in it. */
export function encodeShare(share: MemberShare): Buffer {
  const byTopic = new Map<string, number[]>()
  for (const lane of share.lanes) {
    const at = lane.lastIndexOf('#')
    const topic = lane.slice(0, at)
    byTopic.set(topic, [...(byTopic.get(topic) ?? []), Number(lane.slice(at + 1))])
  }
  const topics = [...byTopic].flatMap(([topic, partitions]) => [
    int16(Buffer.byteLength(topic)),
    Buffer.from(topic),
    int32(partitions.length),
    ...partitions.map(int32),
  ])
  const data = sized(JSON.stringify({ isPending: share.isPending }))
  return Buffer.concat([int16(0), int32(byTopic.size), ...topics, data])
}

export function decodeShare(bytes: Buffer): MemberShare {
  if (bytes.length < 6) return { lanes: [], isPending: true }
  const lanes: string[] = []
  let at = 2
  let topics = bytes.readInt32BE(at)
  at += 4
  for (; topics > 0; topics -= 1) {
    const length = bytes.readInt16BE(at)
    const topic = bytes.toString('utf8', at + 2, at + 2 + length)
    at += 2 + length
    let partitions = bytes.readInt32BE(at)
    at += 4
    for (; partitions > 0; partitions -= 1) {
      lanes.push(`${topic}#${bytes.readInt32BE(at)}`)
      at += 4
    }
  }
  const length = bytes.readInt32BE(at)
  const text = length > 0 ? bytes.toString('utf8', at + 4, at + 4 + length) : '{}'
  return { lanes, isPending: (JSON.parse(text) as { isPending?: boolean }).isPending === true }
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function sized(text: string): Buffer {
  return Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text)])
}
