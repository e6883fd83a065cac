import type { JsonObject } from '../../core/json.ts'
import type { Ledger } from '../ledger.ts'
import type {
  ResolvedSchema,
  SchemaInput,
  SubjectChange,
  SubjectJudge,
  SubjectVersion,
} from './model.ts'
import { parseSubject } from './names.ts'
import { protocolCodes, refusal } from './refusal.ts'
import { checkSchema, guidOf, keptValue, type ReadSchema, readSchema } from './schema-text.ts'
import { change, configOf, modeOf, noSubject } from './settings.ts'
import type { Shelf } from './shelf.ts'
import { entriesOf, type SubjectsState, type VersionEntry } from './state.ts'
import { versionNamed } from './versions.ts'

/** Bringing schemas in, and asking whether they could come in. */
export interface Registration {
  /** The version that has the schema: that which is there, or a new one. @throws SUBJECT_REFUSED (409, 42201, 42205, 42207) */
  register(
    subject: string,
    input: SchemaInput,
    options: { normalize?: boolean; by: string },
  ): Promise<SubjectVersion>
  /** What hinders the schema; empty when nothing. `version` absent: as the subject's level asks. */
  test(subject: string, version: string | undefined, input: SchemaInput): Promise<readonly string[]>
}

export interface RegistrationOptions {
  readonly ledger: Ledger<SubjectsState, SubjectChange & JsonObject>
  readonly shelf: Shelf
  readonly judge: SubjectJudge
}

export function createRegistration(options: RegistrationOptions): Registration {
  const { ledger, shelf } = options
  return {
    register: (subject, input, { normalize, by }) =>
      ledger.change(async (state) => {
        const mode = modeOf(state, subject)
        if (mode === 'READONLY' || mode === 'READONLY_OVERRIDE') {
          throw refusal(protocolCodes.notPermitted, `Subject '${subject}' is in read-only mode.`)
        }
        const read = readSchema(input, normalize ?? configOf(state, subject).normalize)
        const known = entriesOf(state, subject, false).find(({ hash }) => hash === read.hash)
        if (known && mode !== 'IMPORT') {
          const kept = await shelf.get(known.hash)
          return { changes: [], result: () => publicVersion(known, kept) }
        }
        const entry = await newEntry(state, options, { subject, input, read, by, mode })
        await shelf.put(read.hash, read.kept)
        const { deleted: _deleted, ...rest } = entry
        return {
          changes: [change({ kind: 'schema-registered', by, ...rest })],
          result: () => publicVersion(entry, read.kept),
        }
      }),
    async test(subject, version, input) {
      const state = await ledger.read()
      const read = readSchema(input, false)
      const value = await shelf.resolve(state, read.value, read.kept.references)
      checkSchema(value)
      if (version === undefined) {
        return hindrances(state, options, { subject, value, against: inForce(state, subject) })
      }
      const entries = entriesOf(state, subject, false)
      if (entries.length === 0 && version !== 'latest' && version !== '-1') throw noSubject(subject)
      const against = entries.length === 0 ? [] : [versionNamed(entries, version)]
      return hindrances(state, options, { subject, value, against })
    },
  }
}

interface Proposal {
  readonly subject: string
  readonly input: SchemaInput
  readonly read: ReadSchema
  readonly by: string
  readonly mode: string
}

async function newEntry(
  state: SubjectsState,
  options: RegistrationOptions,
  { subject, input, read, mode }: Proposal,
): Promise<VersionEntry> {
  const value = await options.shelf.resolve(state, read.value, read.kept.references)
  checkSchema(value)
  const isImport = mode === 'IMPORT'
  if (!isImport && ((input.id ?? -1) > 0 || (input.version ?? -1) > 0)) {
    checkGiven(state, subject, { input, hash: read.hash })
  }
  if (!isImport) {
    const against = inForce(state, subject)
    const messages = await hindrances(state, options, { subject, value, against })
    if (messages.length > 0) {
      throw refusal(
        protocolCodes.incompatible,
        `The schema is incompatible with an earlier one of subject "${subject}": ${messages.join('; ')}`,
      )
    }
  }
  const last = entriesOf(state, subject, true).at(-1)?.version ?? 0
  return {
    subject,
    version: isImport && (input.version ?? 0) > 0 ? Number(input.version) : last + 1,
    id: idFor(state, subject, { given: isImport ? input.id : undefined, hash: read.hash }),
    hash: read.hash,
    references: read.kept.references,
    deleted: false,
  }
}

/** Outside of IMPORT numbers cannot be chosen; one that says what is the case anyway does no harm. */
function checkGiven(
  state: SubjectsState,
  subject: string,
  { input, hash }: { input: SchemaInput; hash: string },
): void {
  const next = (entriesOf(state, subject, true).at(-1)?.version ?? 0) + 1
  if ((input.version ?? -1) > 0 && input.version !== next) {
    throw refusal(protocolCodes.invalidSchema, `The next version of '${subject}' is ${next}.`)
  }
  const known = state.contexts.get(parseSubject(subject).context)?.ids.get(hash)
  if ((input.id ?? -1) > 0 && input.id !== known) {
    throw refusal(protocolCodes.notPermitted, `Subject '${subject}' is not in import mode.`)
  }
}

/** The same schema keeps its id; a new one takes the next. */
function idFor(
  state: SubjectsState,
  subject: string,
  { given, hash }: { given: number | undefined; hash: string },
): number {
  const context = state.contexts.get(parseSubject(subject).context)
  if (given === undefined || given <= 0) return context?.ids.get(hash) ?? context?.nextId ?? 1
  const holder = context?.hashes.get(given)
  if (holder !== undefined && holder !== hash) {
    throw refusal(protocolCodes.idDiffers, `The id ${given} belongs to another schema.`)
  }
  return given
}

/** The versions that the subject's level holds a new schema against, the latest first. */
function inForce(state: SubjectsState, subject: string): VersionEntry[] {
  const { compatibilityLevel } = configOf(state, subject)
  const entries = entriesOf(state, subject, false).toReversed()
  return compatibilityLevel.endsWith('_TRANSITIVE') ? entries : entries.slice(0, 1)
}

async function hindrances(
  state: SubjectsState,
  { shelf, judge }: RegistrationOptions,
  {
    subject,
    value,
    against,
  }: { subject: string; value: ResolvedSchema; against: readonly VersionEntry[] },
): Promise<readonly string[]> {
  const { compatibilityLevel: level, compatibilityPolicy: policy } = configOf(state, subject)
  if (level === 'NONE') return []
  for (const { hash, version } of against) {
    const kept = await shelf.get(hash)
    const old = await shelf.resolve(state, keptValue(kept), kept.references)
    const messages = [
      ...(/^(?:BACKWARD|FULL)/.test(level)
        ? judge
            .refusals(old, value, policy)
            .map((text) => `The new schema cannot read data of version ${version}: ${text}`)
        : []),
      ...(/^(?:FORWARD|FULL)/.test(level)
        ? judge
            .refusals(value, old, policy)
            .map((text) => `Version ${version} cannot read data of the new schema: ${text}`)
        : []),
    ]
    if (messages.length > 0) return messages
  }
  return []
}

/** The entry as clients see it. */
export function publicVersion(
  { subject, version, id, hash, deleted }: VersionEntry,
  kept: Omit<SubjectVersion, 'subject' | 'version' | 'id' | 'guid' | 'deleted'>,
): SubjectVersion {
  return { ...kept, subject, version, id, guid: guidOf(hash), deleted }
}
