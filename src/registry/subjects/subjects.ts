import type { JsonObject } from '../../core/json.ts'
import type { Store } from '../../store/index.ts'
import { type Ledger, openLedger } from '../ledger.ts'
import { ruleJudge } from './judge.ts'
import type {
  IdentifiedSchema,
  SchemaInput,
  SubjectChange,
  SubjectJudge,
  SubjectVersion,
} from './model.ts'
import { hasPrefix, parseSubject } from './names.ts'
import { protocolCodes, refusal } from './refusal.ts'
import { createRegistration, publicVersion, type Registration } from './registration.ts'
import { createRemoval, type Removal, referrers } from './removal.ts'
import { guidOf, readSchema } from './schema-text.ts'
import { configOf, createSettings, noSubject, type Settings } from './settings.ts'
import { openShelf, type Shelf } from './shelf.ts'
import {
  applySubjectChange,
  emptySubjects,
  entriesOf,
  type SubjectsState,
  type VersionEntry,
} from './state.ts'
import { versionNamed } from './versions.ts'

export interface ListFilter {
  readonly prefix?: string
  readonly deleted?: boolean
  readonly deletedOnly?: boolean
  readonly latestOnly?: boolean
}

/**
 * Schemas by subject and version, with ids, levels and modes: the model behind the Confluent-compatible facade. Errors
 * carry the codes of that protocol, see {@link protocolCode}. Subjects may carry a context: `:.team:orders-value`.
 */
export interface Subjects extends Registration, Removal, Settings {
  subjects(filter?: ListFilter): Promise<readonly string[]>
  /** @throws SUBJECT_REFUSED (40401) */
  versions(subject: string, filter?: ListFilter): Promise<readonly number[]>
  /** @throws SUBJECT_REFUSED (40401, 40402, 42202) */
  version(subject: string, version: string, filter?: ListFilter): Promise<SubjectVersion>
  /** The version of the subject that has this schema. @throws SUBJECT_REFUSED (40401, 40403, 42201) */
  lookup(
    subject: string,
    input: SchemaInput,
    options?: { normalize?: boolean; deleted?: boolean },
  ): Promise<SubjectVersion>
  /** Ids of the schemas that refer to this version. */
  referencedBy(subject: string, version: string): Promise<readonly number[]>
  /** `subject` chooses the context; absent: the default one. @throws SUBJECT_REFUSED (40403) */
  schemaById(id: number, subject?: string): Promise<IdentifiedSchema>
  /** @throws SUBJECT_REFUSED (40403) */
  schemaByGuid(guid: string): Promise<IdentifiedSchema>
  /** Where a schema is used. @throws SUBJECT_REFUSED (40403) */
  usesOf(
    id: number,
    filter?: { subject?: string; deleted?: boolean },
  ): Promise<readonly { readonly subject: string; readonly version: number }[]>
  schemas(filter?: ListFilter): Promise<readonly SubjectVersion[]>
  /** The greatest id of the context, 0 when there is none. */
  greatestId(subject?: string): Promise<number>
  contexts(): Promise<readonly string[]>
}

type SubjectLedger = Ledger<SubjectsState, SubjectChange & JsonObject>

/** The subjects in a store, safe for any number of processes on it. */
export function openSubjects(store: Store, options: { judge?: SubjectJudge } = {}): Subjects {
  const ledger = openLedger<SubjectsState, SubjectChange & JsonObject>({
    store,
    stream: 'registry.subjects',
    state: emptySubjects(),
    apply: applySubjectChange,
  })
  const shelf = openShelf(store)
  const judge = options.judge ?? ruleJudge
  return {
    ...createRegistration({ ledger, shelf, judge }),
    ...createRemoval(ledger),
    ...createSettings(ledger),
    ...createReading(ledger, shelf),
  }
}

type Reading = Omit<Subjects, keyof Registration | keyof Removal | keyof Settings>

function createReading(ledger: SubjectLedger, shelf: Shelf): Reading {
  async function entries(subject: string, filter: ListFilter = {}): Promise<VersionEntry[]> {
    const found = filtered(await ledger.read(), subject, filter)
    if (found.length > 0) return found
    throw noSubject(subject)
  }
  const whole = async (entry: VersionEntry) => publicVersion(entry, await shelf.get(entry.hash))

  return {
    ...createIdentities(ledger, shelf),
    async subjects(filter = {}) {
      const state = await ledger.read()
      return [...state.subjects.keys()]
        .filter((subject) => hasPrefix(subject, filter.prefix ?? ''))
        .filter((subject) => filtered(state, subject, filter).length > 0)
        .sort()
    },
    versions: async (subject, filter) =>
      (await entries(subject, filter)).map(({ version }) => version),
    version: async (subject, version, filter) =>
      whole(versionNamed(await entries(subject, filter), version)),
    async lookup(subject, input, { normalize, deleted = false } = {}) {
      const state = await ledger.read()
      const known = await entries(subject, { deleted: true })
      if (!deleted && known.every((entry) => entry.deleted)) throw noSubject(subject)
      const read = readSchema(input, normalize ?? configOf(state, subject).normalize)
      const found = known.findLast(
        (entry) => entry.hash === read.hash && (deleted || !entry.deleted),
      )
      if (!found) throw refusal(protocolCodes.schemaNotFound, 'Schema not found.')
      return whole(found)
    },
    async referencedBy(subject, version) {
      const wanted = versionNamed(await entries(subject, { deleted: true }), version).version
      return referrers(await ledger.read(), subject, [wanted])
    },
    async schemas(filter = {}) {
      const state = await ledger.read()
      const found = [...state.subjects.keys()]
        .filter((subject) => hasPrefix(subject, filter.prefix ?? ''))
        .sort()
        .flatMap((subject) => {
          const all = filtered(state, subject, filter)
          return filter.latestOnly ? all.slice(-1) : all
        })
      return Promise.all(found.map(whole))
    },
    async contexts() {
      const { contexts } = await ledger.read()
      return [...new Set(['.', ...contexts.keys()])].sort()
    },
  }
}

function createIdentities(
  ledger: SubjectLedger,
  shelf: Shelf,
): Pick<Reading, 'schemaById' | 'schemaByGuid' | 'usesOf' | 'greatestId'> {
  const contextOf = async (subject = '') =>
    (await ledger.read()).contexts.get(parseSubject(subject).context)
  const hashOf = async (id: number, subject: string | undefined) => {
    const hash = (await contextOf(subject))?.hashes.get(id)
    if (hash === undefined) throw refusal(protocolCodes.schemaNotFound, `Schema ${id} not found.`)
    return hash
  }
  return {
    async schemaById(id, subject) {
      const hash = await hashOf(id, subject)
      return { ...(await shelf.get(hash)), id, guid: guidOf(hash) }
    },
    async schemaByGuid(guid) {
      const state = await ledger.read()
      const hash = state.hashByGuid.get(guid.toLowerCase())
      if (hash === undefined) {
        throw refusal(protocolCodes.schemaNotFound, `Schema ${guid} not found.`)
      }
      const id = [...state.contexts.values()].flatMap(({ ids }) => ids.get(hash) ?? [])[0] ?? 0
      return { ...(await shelf.get(hash)), id, guid: guidOf(hash) }
    },
    async usesOf(id, { subject, deleted = false } = {}) {
      await hashOf(id, subject)
      const state = await ledger.read()
      const { context } = parseSubject(subject ?? '')
      return [...state.subjects.keys()]
        .filter((name) => parseSubject(name).context === context)
        .sort()
        .flatMap((name) => entriesOf(state, name, deleted))
        .filter((entry) => entry.id === id)
        .map((entry) => ({ subject: entry.subject, version: entry.version }))
    },
    async greatestId(subject) {
      return ((await contextOf(subject))?.nextId ?? 1) - 1
    },
  }
}

function filtered(
  state: SubjectsState,
  subject: string,
  { deleted = false, deletedOnly = false }: ListFilter,
): VersionEntry[] {
  return entriesOf(state, subject, deleted || deletedOnly).filter(
    (entry) => !deletedOnly || entry.deleted,
  )
}
