import { createHash } from 'node:crypto'

/**
 * How addresses, types and groups become NATS subjects and stream names. A subject token may hold anything but dots, wildcards and
 * blanks; we keep letters, digits, `-` and `_` and write every other byte as `%XX`, so that no two names meet and each can be
 * read back. `@` never comes out of that: after it begins what is ours.
 */

const plain = /^[A-Za-z0-9_-]+$/
/** Tokens that no name is written as. */
const emptyToken = '%'
const absentToken = '%-'
/** Between a channel's own subject and the lanes below it. */
const mark = '@'
/** The lane of messages that other programs publish on the channel's own subject. */
export const foreignLane = 'x'
const streamNameMax = 180

/** One token of a subject. Null: a token that stands for nothing. */
export function tokenOf(text: string | null): string {
  if (text === null) return absentToken
  if (plain.test(text)) return text
  if (text === '') return emptyToken
  let token = ''
  for (const byte of Buffer.from(text)) {
    const letter = String.fromCharCode(byte)
    token += plain.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return token
}

/** What {@link tokenOf} was given. */
export function textOf(token: string): string | null {
  if (token === absentToken) return null
  if (token === emptyToken) return ''
  return decodePercent(token)
}

/** Text with its `%XX` read; what is no such text comes back as it is. */
export function decodePercent(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The subject on which other programs publish to a channel, and below which its lanes are. */
export function channelSubject(address: string): string {
  const known = subjectsKnown.get(address)
  if (known !== undefined) return known
  const subject = address.split('.').map(tokenOf).join('.')
  if (subjectsKnown.size < subjectsMax) subjectsKnown.set(address, subject)
  return subject
}
/** Each message asks twice. Reply addresses come and go, so that not all are remembered. */
const subjectsKnown = new Map<string, string>()
const subjectsMax = 1000

/** What the stream of a channel listens to. */
export function channelSubjects(address: string): string[] {
  const base = channelSubject(address)
  return [base, `${base}.${mark}.>`]
}

/** What a lane holds: messages as `<channel>.@.<lane>.<type>`, those for one group alone with its name behind. */
export function laneFilter(address: string, lane: string): string {
  const base = channelSubject(address)
  return lane === foreignLane ? base : `${base}.${mark}.${lane}.>`
}

export function messageSubject(
  address: string,
  at: { readonly lane: string; readonly type: string; readonly group?: string },
): string {
  const base = `${channelSubject(address)}.${mark}.${at.lane}.${tokenOf(at.type)}`
  return at.group === undefined ? base : `${base}.${tokenOf(at.group)}`
}

/** A message that waits for its time, under a name of its own. */
export function scheduleSubject(
  address: string,
  at: { readonly lane: string; readonly type: string; readonly nonce: string },
): string {
  return `${channelSubject(address)}.${mark}.at.${at.lane}.${tokenOf(at.type)}.${at.nonce}`
}

/** What of a subject of a channel matters. */
export interface MessagePlace {
  readonly lane: string
  /** Absent: it is not in the subject. */
  readonly type?: string
  /** The only group that it is for. */
  readonly group?: string
  readonly isScheduled?: boolean
}

export function placeOf(address: string, subject: string): MessagePlace {
  const base = channelSubject(address)
  const isLane = subject.startsWith(base) && subject.startsWith(`.${mark}.`, base.length)
  if (!isLane) return { lane: foreignLane }
  const rest = subject.slice(base.length + mark.length + 2)
  const [first = '', ...more] = rest.split('.')
  const isScheduled = first === 'at'
  const [lane, type, group] = isScheduled ? [more[0], more[1]] : [first, more[0], more[1]]
  return {
    lane: lane ?? foreignLane,
    ...(type === undefined ? {} : { type: textOf(type) ?? '' }),
    ...(group === undefined ? {} : { group: textOf(group) ?? '' }),
    ...(isScheduled ? { isScheduled } : {}),
  }
}

/** A name for the stream of a channel: dots become underscores, as people write it by hand. */
export function streamNameOf(address: string): string {
  const name = tokenOf(address).replaceAll('_', '%5F').replaceAll('%2E', '_')
  if (name.length <= streamNameMax) return name
  const hash = createHash('sha256').update(address).digest('hex').slice(0, 24)
  return `${name.slice(0, streamNameMax - 25)}-${hash}`
}

/** The streams and subjects of one namespace that are not channels. */
export interface Places {
  readonly stateStream: string
  readonly memberStream: string
  readonly deadStream: string
  channel(address: string): string
  group(name: string): string
  lane(group: string, address: string, lane: string): string
  request(group: string, address: string, place: string): string
  /** The ledger of what left a channel before any group counted it. */
  ledger(address: string): string
  /** What was refused before any consumer, by type. */
  refused(event: string): string
  /** Every document of a kind, for one group where it is given. */
  all(kind: 'channel' | 'group' | 'lane' | 'request' | 'ledger' | 'refused', group?: string): string
  member(group: string | null, id: string): string
  members(group: string | null): string
  dead(letter: DeadPlace): string
  /** What is left out may be anything. */
  deadFilter(letter: Partial<DeadPlace>): string
  /** Heard by the replicas of a group: something changed. */
  call(group: string): string
}
export interface DeadPlace {
  readonly group: string | null
  readonly consumer: string | null
  readonly event: string
  readonly reason: string
  readonly id: string
}

const kinds = {
  channel: 'ch',
  group: 'grp',
  lane: 'st',
  request: 'req',
  ledger: 'acc',
  refused: 'ref',
} as const

export function placesOf(namespace: string): Places {
  const base = `${tokenOf(namespace)}.${mark}`
  const stream = tokenOf(namespace).toUpperCase()
  const state = `${base}.s`
  return {
    stateStream: `${stream}_STATE`,
    memberStream: `${stream}_MEMBERS`,
    deadStream: `${stream}_DEAD`,
    channel: (address) => `${state}.ch.${tokenOf(address)}`,
    group: (name) => `${state}.grp.${tokenOf(name)}`,
    lane: (group, address, lane) => `${state}.st.${tokenOf(group)}.${tokenOf(address)}.${lane}`,
    request: (group, address, place) =>
      `${state}.req.${tokenOf(group)}.${tokenOf(address)}.${place}`,
    ledger: (address) => `${state}.acc.${tokenOf(address)}`,
    refused: (event) => `${state}.ref.${tokenOf(event)}`,
    all: (kind, group) =>
      `${state}.${kinds[kind]}.${group === undefined ? '>' : `${tokenOf(group)}.>`}`,
    member: (group, id) => `${base}.m.${tokenOf(group)}.${tokenOf(id)}`,
    members: (group) => `${base}.m.${tokenOf(group)}.*`,
    dead: ({ group, consumer, event, reason, id }) =>
      `${base}.d.${[group, consumer, event, reason, id].map(tokenOf).join('.')}`,
    deadFilter(letter) {
      const part = (text: string | null | undefined) => (text === undefined ? '*' : tokenOf(text))
      const { group, consumer, event, reason, id } = letter
      return `${base}.d.${[group, consumer, event, reason, id].map(part).join('.')}`
    },
    call: (group) => `${base}.go.${tokenOf(group)}`,
  }
}

/** The subjects of the three streams of {@link placesOf}. */
export function streamSubjects(namespace: string): Record<'state' | 'members' | 'dead', string[]> {
  const base = `${tokenOf(namespace)}.${mark}`
  return { state: [`${base}.s.>`], members: [`${base}.m.>`], dead: [`${base}.d.>`] }
}
