import type { CommandDefinition, Contract, EventDefinition, JsonSchema } from '../model.ts'

/** Which schema of a message type is meant. */
export type Part = 'data' | 'reply' | `error ${string}`

/** One schema that stands in both versions, with who writes and who reads what it describes. */
export interface SharedSchema {
  readonly name: string
  readonly kind: 'event' | 'command'
  readonly part: Part
  /**
   * `readers`: the owner writes, others read (events, replies, errors). `callers`: others write, the owner reads
   * (commands).
   */
  readonly role: 'readers' | 'callers'
  /** Whether messages of earlier versions are kept, so that later readers meet them. Replies and errors are not. */
  readonly retained: boolean
  readonly before: JsonSchema
  readonly after: JsonSchema
  /** Messages of the earlier and of the later version that people know. */
  readonly examples: { readonly before: readonly JsonValue[]; readonly after: readonly JsonValue[] }
}
type JsonValue = EventDefinition['examples'][number]['value']

/** Every schema that both versions have. */
export function sharedSchemas(before: Contract, after: Contract): SharedSchema[] {
  const events = Object.values(before.events).flatMap((old) => {
    const now = after.events[old.name]
    return now === undefined ? [] : [eventSchema(old, now)]
  })
  const commands = Object.values(before.commands).flatMap((old) => {
    const now = after.commands[old.name]
    return now === undefined ? [] : commandSchemas(old, now)
  })
  return [...events, ...commands]
}

const valuesOf = (definition: EventDefinition | CommandDefinition) =>
  definition.examples.map(({ value }) => value)

function eventSchema(old: EventDefinition, now: EventDefinition): SharedSchema {
  return {
    name: old.name,
    kind: 'event',
    part: 'data',
    role: 'readers',
    retained: true,
    before: old.schema,
    after: now.schema,
    examples: { before: valuesOf(old), after: valuesOf(now) },
  }
}

function commandSchemas(old: CommandDefinition, now: CommandDefinition): SharedSchema[] {
  const shared = { name: old.name, kind: 'command', retained: false } as const
  const none = { before: [], after: [] }
  const answer = (part: Part, before?: JsonSchema, after?: JsonSchema): SharedSchema[] =>
    before === undefined || after === undefined
      ? []
      : [{ ...shared, part, role: 'readers', before, after, examples: none }]
  return [
    {
      ...shared,
      part: 'data',
      role: 'callers',
      before: old.schema,
      after: now.schema,
      examples: { before: valuesOf(old), after: valuesOf(now) },
    },
    ...answer('reply', old.reply, now.reply),
    ...Object.entries(old.errors).flatMap(([name, schema]) =>
      answer(`error ${name}`, schema, now.errors[name]),
    ),
  ]
}

/** The directions that count for a schema, under a mode: the role says who meets whose messages. */
export function directionsOf(
  { kind, role, retained }: Pick<SharedSchema, 'kind' | 'role' | 'retained'>,
  mode: { readonly backward: boolean; readonly forward: boolean },
): readonly ('backward' | 'forward')[] {
  if (!mode.backward && !mode.forward) return []
  // A command's old callers meet the new handler; a reply's old readers meet the new answers. Neither is kept.
  if (kind === 'command') return role === 'callers' ? ['backward'] : ['forward']
  return (['forward', 'backward'] as const).filter(
    (direction) => mode[direction] && (direction === 'forward' || retained),
  )
}

/** Something that is not a schema and changed so that one side fails, or gains. */
export interface StructuralChange {
  readonly event?: string
  /** Steps to it in the later contract's file. */
  readonly path: readonly (string | number)[]
  readonly breaks: boolean
  /** One clause: what changed. */
  readonly change: string
  readonly fix?: string
}

/** What changed besides schemas: message types that came or went, channels, envelope, replies, errors. */
export function structuralChanges(before: Contract, after: Contract): StructuralChange[] {
  return [
    ...wholeContract(before, after),
    ...messageTypes(before, after, 'events'),
    ...messageTypes(before, after, 'commands'),
    ...channels(before, after),
    ...answers(before, after),
  ]
}

function wholeContract(before: Contract, after: Contract): StructuralChange[] {
  if (before.envelope === after.envelope) return []
  const change = `the envelope changed: ${before.envelope} → ${after.envelope}`
  return [{ path: ['envelope'], breaks: true, change, fix: 'Keep the envelope.' }]
}

function messageTypes(
  before: Contract,
  after: Contract,
  kind: 'events' | 'commands',
): StructuralChange[] {
  const gone = Object.keys(before[kind]).filter((name) => after[kind][name] === undefined)
  const added = Object.keys(after[kind]).filter((name) => before[kind][name] === undefined)
  return [
    ...gone.map((name) => ({
      event: name,
      path: [kind],
      breaks: true,
      change: `\`${name}\` is gone`,
      fix: `Keep \`${name}\` and mark it \`deprecated\` with a sunset.`,
    })),
    ...added.map((name) => ({
      event: name,
      path: [kind, name],
      breaks: false,
      change: `\`${name}\` is new`,
    })),
  ]
}

function channels(before: Contract, after: Contract): StructuralChange[] {
  return (['events', 'commands'] as const).flatMap((kind) =>
    Object.values(before[kind]).flatMap(({ name, channel }) => {
      const now = after[kind][name]
      const [old, next] = [before.channels[channel], now && after.channels[now.channel]]
      if (now === undefined || old === undefined || next === undefined) return []
      const path = ['channels', next.name]
      const differs = (key: 'address' | 'key' | 'ordering'): StructuralChange[] =>
        old[key] === next[key]
          ? []
          : [
              {
                event: name,
                path: [...path, key],
                breaks: key !== 'ordering' || next.ordering === 'none',
                change: `the ${key} of its channel changed: ${old[key] ?? 'none'} → ${next[key] ?? 'none'}`,
                fix: 'Open a second channel and move consumers there one by one.',
              },
            ]
      return [...differs('address'), ...differs('key'), ...differs('ordering')]
    }),
  )
}

function answers(before: Contract, after: Contract): StructuralChange[] {
  return Object.values(before.commands).flatMap((old) => {
    const now = after.commands[old.name]
    if (now === undefined) return []
    const path = ['commands', now.name]
    const changes: StructuralChange[] = []
    if (old.reply !== undefined && now.reply === undefined) {
      const change = 'it no longer replies'
      changes.push({ event: now.name, path, breaks: true, change, fix: 'Keep `reply`.' })
    }
    for (const name of Object.keys(now.errors)) {
      if (old.errors[name] !== undefined) continue
      const change = `the error \`${name}\` is new`
      changes.push({ event: now.name, path: [...path, 'errors', name], breaks: false, change })
    }
    return changes
  })
}
