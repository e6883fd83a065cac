import type { Finding } from '../../core/finding.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject, toPointer } from '../../core/json.ts'
import { draftOf, isOldDraft } from '../schema/draft.ts'
import { parseJson } from '../source/json-source.ts'
import type { Imported } from './imported.ts'
import { contractName, finishImport } from './imported.ts'

/** One version of one subject, as a Confluent-compatible registry answers. */
interface SubjectVersion {
  readonly subject: string
  readonly version: number
  readonly schemaType: string
  readonly schema: string
  readonly references: readonly {
    readonly name: string
    readonly subject: string
    readonly version: number
  }[]
  readonly pointer: string
}

/** What an import of subjects is about. */
export interface ConfluentOptions {
  /** Id of the contract. */
  readonly id: string
  /** As findings print where it came from: a file or the URL of a registry. */
  readonly file?: string
}

/** References that may lead from one subject to the next. */
const depthMax = 32

/**
 * A draft contract from the subjects of a schema registry: one event for each subject of values, with its latest
 * version. The dump is a list of versions as `GET /schemas` answers, or `{ subjects: […], compatibilityLevel }`.
 */
export function importConfluent(dump: Json, { id, file }: ConfluentOptions): Imported {
  const findings: Finding[] = []
  const where = file === undefined ? {} : { file }
  const add = (finding: Pick<Finding, 'code' | 'message' | 'severity'> & Partial<Finding>) =>
    findings.push({ ...where, ...finding })
  const list = Array.isArray(dump) ? dump : isJsonObject(dump) ? dump.subjects : undefined
  if (!Array.isArray(list)) {
    const hint = 'Save what GET /schemas of the registry answers, or name the URL of the registry.'
    add({
      code: 'CONFLUENT_DUMP_INVALID',
      message: 'this is no list of versions of subjects',
      severity: 'error',
      hint,
    })
    return { findings }
  }
  const prefix = Array.isArray(dump) ? [] : ['subjects']
  const versions = list.flatMap((entry, at) => {
    const read = readVersion(entry as Json, toPointer([...prefix, at]))
    if (read) return [read]
    add({
      ...{ code: 'CONFLUENT_DUMP_INVALID', severity: 'error', pointer: toPointer([...prefix, at]) },
      message: 'an entry needs the texts subject and schema and the number version',
    })
    return []
  })
  const channels: Record<string, JsonObject> = {}
  const events: Record<string, JsonObject> = {}
  for (const subject of [...new Set(versions.map((version) => version.subject))]) {
    const made = readSubject(subject, versions, add)
    if (made === undefined) continue
    channels[made.channel] = { address: made.channel }
    events[made.event] = {
      ...{ channel: made.channel, purpose: `The subject ${subject}.`, schema: made.schema },
    }
  }
  const evolution = evolutionOf(dump)
  add({
    ...{ code: 'IMPORT_NOT_CARRIED', severity: 'warning' },
    message: 'a registry does not say who produces and who consumes; the draft names none',
    hint: 'Write producers and consumers.',
  })
  return finishImport(
    {
      ...{ treaty: 1, id: contractName(id), version: '0.1.0', status: 'draft', envelope: 'none' },
      ...{ purpose: 'Imported from a schema registry.', channels, events },
      ...(evolution === undefined ? {} : { evolution }),
    },
    findings,
  )
}

/** {@link importConfluent} for the text of a dump. */
export function importConfluentText(text: string, options: ConfluentOptions): Imported {
  const parsed = parseJson(text, options.file ?? '')
  return 'finding' in parsed
    ? { findings: [parsed.finding] }
    : importConfluent(parsed.value, options)
}

type Add = (finding: Pick<Finding, 'code' | 'message' | 'severity'> & Partial<Finding>) => void

function readSubject(
  subject: string,
  versions: readonly SubjectVersion[],
  add: Add,
): { readonly event: string; readonly channel: string; readonly schema: Json } | undefined {
  const own = versions.filter((one) => one.subject === subject)
  const latest = own.reduce((a, b) => (b.version > a.version ? b : a))
  const lose = (message: string) =>
    add({ code: 'IMPORT_NOT_CARRIED', severity: 'warning', message, pointer: latest.pointer })
  if (subject.endsWith('-key')) {
    lose(`\`${subject}\` describes keys, and contracts name the field of the key instead`)
    return undefined
  }
  const isReferred = versions.some(({ references }) =>
    references.some((one) => one.subject === subject),
  )
  const topic = /^(.+)-value$/.exec(subject)?.[1]
  if (isReferred && topic === undefined) return undefined
  if (own.length > 1)
    lose(`of \`${subject}\` only version ${latest.version} of ${own.length} is carried over`)
  const schema = resolveSubject(latest, versions, { add, depth: 0 })
  const name = contractName(topic ?? subject)
  return schema === undefined ? undefined : { event: name, channel: name, schema }
}

/** The schema with what it refers to in other subjects among its definitions, under the names of the references. */
function resolveSubject(
  version: SubjectVersion,
  versions: readonly SubjectVersion[],
  { add, depth }: { readonly add: Add; readonly depth: number },
): Json | undefined {
  const { subject, pointer, schemaType } = version
  if (schemaType !== 'JSON') {
    add({
      ...{ code: 'IMPORT_FORMAT_UNSUPPORTED', severity: 'error', pointer },
      message: `\`${subject}\` is in ${schemaType}, which is no JSON Schema`,
      hint: 'Register the messages as JSON Schema, and import that.',
    })
    return undefined
  }
  const parsed = parseJson(version.schema, subject)
  if ('finding' in parsed) {
    add({
      ...parsed.finding,
      pointer,
      message: `the schema of \`${subject}\`: ${parsed.finding.message}`,
    })
    return undefined
  }
  const { value } = parsed
  if (!isJsonObject(value) || version.references.length === 0) return value
  const draft = draftOf(value)
  const [container, keyword] = [
    isOldDraft(draft) ? 'definitions' : '$defs',
    draft === '04' ? 'id' : '$id',
  ]
  const definitions: Record<string, Json | undefined> = {
    ...(value[container] as JsonObject | undefined),
  }
  for (const { name, ...target } of version.references) {
    const found = versions.find(
      (one) => one.subject === target.subject && one.version === target.version,
    )
    if (found === undefined || depth > depthMax) {
      add({
        ...{ code: 'REF_NOT_FOUND', severity: 'error', pointer },
        message: `\`${subject}\` refers to version ${target.version} of \`${target.subject}\`, which is not there`,
      })
      return undefined
    }
    const inner = resolveSubject(found, versions, { add, depth: depth + 1 })
    if (inner === undefined) return undefined
    definitions[name] = isJsonObject(inner) ? { ...inner, [keyword]: name } : inner
  }
  return { ...value, [container]: definitions }
}

function readVersion(entry: Json, pointer: string): SubjectVersion | undefined {
  if (!isJsonObject(entry)) return undefined
  const { subject, version, schema, schemaType = 'AVRO', references = [] } = entry
  if (typeof subject !== 'string' || typeof version !== 'number') return undefined
  if (typeof schema !== 'string' || typeof schemaType !== 'string') return undefined
  const read = (Array.isArray(references) ? references : []).flatMap((reference) =>
    isJsonObject(reference) &&
    typeof reference.name === 'string' &&
    typeof reference.subject === 'string' &&
    typeof reference.version === 'number'
      ? [{ name: reference.name, subject: reference.subject, version: reference.version }]
      : [],
  )
  return { subject, version, schema, schemaType, references: read, pointer }
}

/** The compatibility level of the registry as policy and mode. */
function evolutionOf(dump: Json): JsonObject | undefined {
  const level = isJsonObject(dump) ? dump.compatibilityLevel : undefined
  if (
    typeof level !== 'string' ||
    !/^(?:NONE|(?:BACKWARD|FORWARD|FULL)(?:_TRANSITIVE)?)$/.test(level)
  )
    return undefined
  return { policy: 'confluent-strict', mode: level.toLowerCase().replace('_', '-') }
}
