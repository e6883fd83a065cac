import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve, sep } from 'node:path'
import type { Finding } from '../../core/finding.ts'
import type { Json } from '../../core/json.ts'
import { isJsonObject, parsePointer } from '../../core/json.ts'
import { displayPath, readFileText } from '../source/file-text.ts'
import { jsonSource, parseJson } from '../source/json-source.ts'
import type { Path, Source } from '../source/source.ts'
import { parseYaml } from '../source/yaml-source.ts'
import type { Draft } from './draft.ts'
import { draftOfUri } from './draft.ts'

/** A document that schemas are taken from: a file, or the place of a contract that holds one. */
export interface SchemaDocument {
  /** Real path, or for schemas in place one that no file has. */
  readonly id: string
  /** Base for the names of definitions: the file's name without its endings. */
  readonly name: string
  readonly value: Json
  /** What `$schema` says; absent where it says nothing. */
  readonly draft?: Draft
  readonly source: Source
  /** Where the document's root stands in its source. */
  readonly prefix: Path
  /** Folder that relative references start from. */
  readonly directory: string
  /** Folder that no reference leaves. */
  readonly jail: string
}

/** A document and the place in it that a reference names. */
export interface SchemaTarget {
  readonly document: SchemaDocument
  readonly pointer: Path
}

/** Why a reference leads nowhere: without its place, which only the one who refers knows. */
export interface Refusal {
  readonly code: string
  readonly message: string
  readonly hint: string
  /** Problems inside the file itself, with their own places. */
  readonly inside?: readonly Finding[]
}

/** Where a reference is written: what it is relative to, and what it may not leave. */
export interface ReferenceBase {
  readonly directory: string
  readonly jail: string
}

/** Reads each schema file once. One store serves one load. */
export interface SchemaStore {
  /** The document of `./file.json`, `npm:package/file.json`, without its fragment. */
  open(reference: string, base: ReferenceBase): SchemaDocument | Refusal
  /** Findings about the files themselves, each reported once. */
  readonly findings: Finding[]
}

/** True where a look-up was refused. */
export function isRefusal<T extends object>(found: T | Refusal): found is Refusal {
  return 'hint' in found && 'code' in found
}

/** Splits `file#/pointer`; the fragment is percent-decoded. Undefined when the fragment is no JSON Pointer. */
export function splitReference(reference: string): {
  readonly file: string
  readonly pointer: Path | undefined
  readonly fragment: string
} {
  const at = reference.indexOf('#')
  const file = at === -1 ? reference : reference.slice(0, at)
  const fragment = at === -1 ? '' : decode(reference.slice(at + 1))
  return { file, pointer: parsePointer(fragment), fragment }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The draft that a document's `$schema` names. */
export function declaredDraft(value: Json): Draft | undefined {
  const uri = isJsonObject(value) ? value.$schema : undefined
  return typeof uri === 'string' ? draftOfUri(uri) : undefined
}

/** A schema written inside another document. */
export function inlineDocument(
  value: Json,
  place: {
    readonly source: Source
    readonly prefix: Path
    readonly name: string
    readonly base: ReferenceBase
  },
): SchemaDocument {
  const draft = declaredDraft(value)
  return {
    id: `inline:${place.source.file ?? ''}#${place.prefix.join('/')}`,
    name: place.name,
    value,
    ...(draft === undefined ? {} : { draft }),
    source: place.source,
    prefix: place.prefix,
    directory: place.base.directory,
    jail: place.base.jail,
  }
}

/** True when `path` is `folder` or lies in it. */
export function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}

/** The folder of an installed package, searched as Node does: in each `node_modules` from `directory` upwards. */
function packageFolder(name: string, directory: string): string | undefined {
  let folder = resolve(directory)
  for (;;) {
    const candidate = join(folder, 'node_modules', name)
    if (basename(folder) !== 'node_modules' && existsSync(candidate)) return realpathSync(candidate)
    const parent = dirname(folder)
    if (parent === folder) return undefined
    folder = parent
  }
}

const npmPattern = /^npm:((?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*)\/(.+)$/i

interface FileTarget {
  readonly path: string
  readonly jail: string
}

function locateFile(reference: string, base: ReferenceBase): FileTarget | Refusal {
  const npm = npmPattern.exec(reference)
  if (npm) {
    const [, name = '', file = ''] = npm
    const folder = packageFolder(name, base.directory)
    if (folder !== undefined) return { path: join(folder, file), jail: folder }
    return {
      code: 'SCHEMA_NOT_FOUND',
      message: `the package \`${name}\` is not installed`,
      hint: `Run \`npm install ${name}\`.`,
    }
  }
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(reference)?.[1]
  if (scheme !== undefined) {
    return {
      code: 'REF_REMOTE',
      message: `\`${reference}\` is remote, and nothing is fetched while reading a contract`,
      hint: 'Keep a copy beside the contract and refer to the file.',
    }
  }
  return { path: resolve(base.directory, decode(reference)), jail: base.jail }
}

/** Opens files for one load; see {@link SchemaStore}. */
export function createSchemaStore(): SchemaStore {
  const documents = new Map<string, SchemaDocument | Refusal>()
  const findings: Finding[] = []

  function read(path: string, jail: string): SchemaDocument | Refusal {
    const file = displayPath(path)
    const found = readFileText(path)
    if ('finding' in found) {
      const isMissing = found.finding.code === 'FILE_NOT_FOUND'
      return {
        code: isMissing ? 'SCHEMA_NOT_FOUND' : found.finding.code,
        message: isMissing
          ? `there is no schema file \`${file}\``
          : `\`${file}\`: ${found.finding.message}`,
        hint: isMissing
          ? 'Check the path: it is relative to this file.'
          : (found.finding.hint ?? ''),
        ...(isMissing ? {} : { inside: [found.finding] }),
      }
    }
    const parsed = /\.ya?ml$/i.test(path) ? readYaml(found.text, file) : readJson(found.text, file)
    if ('inside' in parsed) return parsed
    const draft = declaredDraft(parsed.value)
    return {
      id: path,
      name: basename(path).replace(/(?:\.schema)?\.(?:json|ya?ml)$/i, ''),
      value: parsed.value,
      ...(draft === undefined ? {} : { draft }),
      source: parsed.source,
      prefix: [],
      directory: dirname(path),
      jail,
    }
  }

  return {
    findings,
    open(reference, base) {
      const target = locateFile(reference, base)
      if (isRefusal(target)) return target
      const known = documents.get(target.path)
      if (known) return known
      const path = realPath(target.path)
      const refusal = path !== undefined && jailRefusal(path, target.jail, reference)
      const opened =
        refusal || (documents.get(path ?? '') ?? read(path ?? target.path, target.jail))
      if (isRefusal(opened)) findings.push(...(opened.inside ?? []))
      documents.set(target.path, opened)
      if (path !== undefined) documents.set(path, opened)
      return opened
    },
  }
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

function jailRefusal(path: string, jail: string, reference: string): Refusal | undefined {
  if (isInside(path, realPath(jail) ?? jail)) return undefined
  return {
    code: 'REF_OUTSIDE',
    message: `\`${reference}\` leads out of \`${displayPath(jail) || jail}\``,
    hint: 'Keep schemas inside the project, or run Treaty from the folder that holds both.',
  }
}

function unreadable(
  file: string,
  findings: readonly Finding[],
): Refusal & { inside: readonly Finding[] } {
  return {
    code: 'SCHEMA_UNREADABLE',
    message: `the file \`${file}\` cannot be read as a schema`,
    hint: 'Mend the file: what is wrong is reported with its place.',
    inside: findings,
  }
}

type Parsed = { readonly value: Json; readonly source: Source }

function readJson(text: string, file: string): Parsed | (Refusal & { inside: readonly Finding[] }) {
  const parsed = parseJson(text, file)
  if ('finding' in parsed) return unreadable(file, [parsed.finding])
  return { value: parsed.value, source: jsonSource(text, file) }
}

function readYaml(text: string, file: string): Parsed | (Refusal & { inside: readonly Finding[] }) {
  const { value, report } = parseYaml(text, file)
  if (value === undefined || report.findings.length > 0) return unreadable(file, report.findings)
  return { value, source: report.source }
}
