import { globSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isTreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import type { Json } from '../../core/json.ts'
import { parsePointer, toPointer } from '../../core/json.ts'
import { producerView } from '../message/views.ts'
import type { Example, JsonSchema } from '../model.ts'
import { acceptsPlainly } from '../schema/plain-accept.ts'
import { isInside } from '../schema/schema-store.ts'
import { compileSchema } from '../schema/validator.ts'
import { displayPath, readFileText } from '../source/file-text.ts'
import { jsonSource, parseJson } from '../source/json-source.ts'
import type { Path, Source } from '../source/source.ts'
import { parseYaml } from '../source/yaml-source.ts'
import type { ReadContext } from './contract-reader.ts'
import { isUnwritten } from './placeholder.ts'

/** What examples belong to. */
export interface ExampleOwner {
  readonly name: string
  /** Undefined where the schema could not be read; then examples are read, not judged. */
  readonly schema: JsonSchema | undefined
}

/** An example with the way back to its text. */
interface Placed {
  readonly example: Example
  readonly source: Source
  readonly prefix: Path
}

/**
 * Reads the examples of an event or command, given as a file, a glob, or a list of files and values, and holds
 * each against the producer's view of the schema. Files come in the order of their names.
 */
export function readExamples(
  context: ReadContext,
  value: Json | undefined,
  path: Path,
  owner: ExampleOwner,
): Example[] {
  const placed: Placed[] = []
  if (typeof value === 'string') placed.push(...readGlob(context, value, path))
  else if (Array.isArray(value)) {
    for (const [at, item] of (value as readonly Json[]).entries()) {
      if (typeof item === 'string' && isFileReference(item)) {
        placed.push(...readGlob(context, item, [...path, at]))
      } else {
        placed.push({
          example: { value: item },
          source: context.report.source,
          prefix: [...path, at],
        })
      }
    }
  }
  if (owner.schema !== undefined) {
    for (const each of placed) judge(context, each, owner.name, owner.schema)
  }
  return placed.map(({ example }) => example)
}

function isFileReference(text: string): boolean {
  return /^\.{1,2}\//.test(text) || /\.(?:json|ya?ml)$/i.test(text)
}

/** Files that match, sorted by name. The usual `folder/*.json` needs one look into one folder. */
function matching(pattern: string, directory: string): string[] {
  const [, folder = '', last = ''] = /^((?:[^*?[{]*\/)?)([^/[{]*)$/.exec(pattern) ?? []
  if (last === '' || last.includes('**')) {
    return globSync(pattern, { cwd: directory })
      .map((file) => resolve(directory, file))
      .sort()
  }
  const wanted = last
    .replaceAll(/[.+^${}()|\\\]]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  const expression = new RegExp(`^${wanted}$`, 'su')
  const at = resolve(directory, folder)
  if (!statSync(at, { throwIfNoEntry: false })?.isDirectory()) return []
  return readdirSync(at)
    .filter((name) => expression.test(name) && (!name.startsWith('.') || last.startsWith('.')))
    .map((name) => join(at, name))
    .sort()
}

function readGlob(context: ReadContext, pattern: string, path: Path): Placed[] {
  const { base, report } = context
  const isGlob = /[*?[{]/.test(pattern)
  const files = isGlob ? matching(pattern, base.directory) : [resolve(base.directory, pattern)]
  if (files.length === 0) {
    report.add('EXAMPLE_NOT_FOUND', `no file matches \`${pattern}\``, path, {
      hint: 'Check the pattern: it is relative to this file.',
    })
  }
  const placed: Placed[] = []
  for (const file of files) {
    if (!isInside(file, base.jail)) {
      report.add('REF_OUTSIDE', `\`${pattern}\` leads out of \`${displayPath(base.jail)}\``, path, {
        hint: 'Keep examples inside the project.',
      })
      break
    }
    const read = readExample(context, file, path, isGlob)
    if (read) placed.push(read)
  }
  return placed
}

function readExample(
  context: ReadContext,
  path: string,
  at: Path,
  isGlob: boolean,
): Placed | undefined {
  const file = displayPath(path)
  const found = readFileText(path)
  if ('finding' in found) {
    const isMissing = found.finding.code === 'FILE_NOT_FOUND' && !isGlob
    if (isMissing) {
      context.report.add('EXAMPLE_NOT_FOUND', `there is no example file \`${file}\``, at, {
        hint: 'Check the path: it is relative to this file.',
      })
    } else context.findings.push(found.finding)
    return undefined
  }
  if (/\.ya?ml$/i.test(path)) {
    const { value, report } = parseYaml(found.text, file)
    context.findings.push(...report.findings)
    if (value === undefined) return undefined
    return { example: { file, value }, source: report.source, prefix: [] }
  }
  const parsed = parseJson(found.text, file)
  if ('finding' in parsed) {
    context.findings.push(parsed.finding)
    return undefined
  }
  return {
    example: { file, value: parsed.value },
    source: jsonSource(found.text, file),
    prefix: [],
  }
}

function judge(context: ReadContext, placed: Placed, name: string, schema: JsonSchema): void {
  const view = producerView(schema)
  for (const path of placeholdersIn(placed.example.value)) {
    const message = `an example of \`${name}\` still has a placeholder in \`${path.join('.')}\``
    const hint = 'Write a value that could be sent.'
    const code = 'PLACEHOLDER'
    context.findings.push({ code, message, severity: 'warning', hint, ...at(placed, name, path) })
  }
  if (acceptsPlainly(view, placed.example.value)) return
  for (const finding of findingsOf(view, placed.example.value)) {
    const message =
      finding.code === 'SCHEMA_TOO_LARGE'
        ? `an example of \`${name}\` cannot be judged: ${finding.message}`
        : `an example of \`${name}\` breaks its schema: ${finding.message}`
    const code = finding.code === 'SCHEMA_TOO_LARGE' ? finding.code : 'EXAMPLE_INVALID'
    const inside = parsePointer(finding.pointer ?? '') ?? []
    context.findings.push({ ...finding, code, message, ...at(placed, name, inside) })
  }
}

/** Where in the reader's text a part of an example stands. */
function at({ source, prefix }: Placed, event: string, inside: Path) {
  const where = [...prefix, ...inside]
  return {
    pointer: toPointer(where),
    event,
    ...(source.file === undefined ? {} : { file: source.file }),
    ...source.place(where),
  }
}

/** Places of texts that stand for something still to be written: ellipses, `[...]`, and words such as TBD. */
function placeholdersIn(value: Json | undefined): readonly Path[] {
  if (typeof value === 'string') return isUnwritten(value) ? [[]] : []
  if (typeof value !== 'object' || value === null) return []
  const entries: readonly (readonly [string | number, Json | undefined])[] = Array.isArray(value)
    ? [...(value as readonly Json[]).entries()]
    : Object.entries(value)
  return entries.flatMap(([key, inner]) => placeholdersIn(inner).map((path) => [key, ...path]))
}

/** What the schema says of the value; where it cannot be compiled, that alone. */
function findingsOf(schema: JsonSchema, value: Json): readonly Finding[] {
  try {
    return compileSchema(schema, { unevaluated: true }).findings(value)
  } catch (error) {
    if (!isTreatyError(error)) throw error
    const { code, message, hint } = error
    return [{ code, severity: 'error', message, pointer: '', ...(hint ? { hint } : {}) }]
  }
}
