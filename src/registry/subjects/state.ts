import { TreatyError } from '../../core/errors.ts'
import type { Recorded } from '../ledger.ts'
import type { Mode, SchemaReference, SubjectChange, SubjectConfig } from './model.ts'
import { parseSubject } from './names.ts'
import { guidOf } from './schema-text.ts'

/** One version of a subject. */
export interface VersionEntry {
  readonly subject: string
  readonly version: number
  readonly id: number
  readonly hash: string
  readonly references: readonly SchemaReference[]
  deleted: boolean
}

/** Schemas are numbered by context. */
export interface ContextState {
  nextId: number
  /** Digest by id, and the other way round. Ids outlive the versions that had them. */
  readonly hashes: Map<number, string>
  readonly ids: Map<string, number>
}

export interface SubjectsState {
  readonly contexts: Map<string, ContextState>
  /** Full name → version → entry, in rising order of versions. */
  readonly subjects: Map<string, Map<number, VersionEntry>>
  readonly hashByGuid: Map<string, string>
  /** Full name of a subject or context, empty for everything → settings. */
  readonly configs: Map<string, SubjectConfig>
  readonly modes: Map<string, Mode>
}

export function emptySubjects(): SubjectsState {
  return {
    contexts: new Map(),
    subjects: new Map(),
    hashByGuid: new Map(),
    configs: new Map(),
    modes: new Map(),
  }
}

/** Takes one change in. */
export function applySubjectChange(
  state: SubjectsState,
  { change }: Recorded<SubjectChange>,
): void {
  switch (change.kind) {
    case 'schema-registered':
      register(state, change)
      return
    case 'versions-deleted': {
      const versions = state.subjects.get(change.subject)
      for (const version of change.versions) {
        const entry = versions?.get(version)
        if (entry) entry.deleted = true
        if (change.permanent) versions?.delete(version)
      }
      if (versions?.size === 0) state.subjects.delete(change.subject)
      return
    }
    case 'config-set':
      if (change.config === null) state.configs.delete(change.subject)
      else state.configs.set(change.subject, change.config)
      return
    case 'mode-set':
      if (change.mode === null) state.modes.delete(change.subject)
      else state.modes.set(change.subject, change.mode)
      return
    default:
      throw new TreatyError(
        'REGISTRY_TOO_NEW',
        'the history of the subjects holds a change of a kind that is not known here',
        { details: { kind: (change as { kind: string }).kind } },
      )
  }
}

function register(
  state: SubjectsState,
  change: Extract<SubjectChange, { kind: 'schema-registered' }>,
): void {
  const { subject, version, id, hash, references } = change
  const name = parseSubject(subject).context
  const context = state.contexts.get(name) ?? { nextId: 1, hashes: new Map(), ids: new Map() }
  state.contexts.set(name, context)
  context.nextId = Math.max(context.nextId, id + 1)
  context.hashes.set(id, hash)
  if (!context.ids.has(hash)) context.ids.set(hash, id)
  state.hashByGuid.set(guidOf(hash), hash)
  const versions = new Map(state.subjects.get(subject))
  versions.set(version, { subject, version, id, hash, references, deleted: false })
  state.subjects.set(subject, new Map([...versions].sort(([a], [b]) => a - b)))
}

/** Versions of a subject, the lowest first. */
export function entriesOf(
  state: SubjectsState,
  subject: string,
  withDeleted: boolean,
): VersionEntry[] {
  return [...(state.subjects.get(subject)?.values() ?? [])].filter(
    ({ deleted }) => withDeleted || !deleted,
  )
}
