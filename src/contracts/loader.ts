import type { Dirent } from 'node:fs'
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Finding } from '../core/finding.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { isJsonObject, toPointer } from '../core/json.ts'
import { checkContract } from './check/check-contract.ts'
import { checkTogether } from './check/check-together.ts'
import type { Contract } from './model.ts'
import { arrangeFindings } from './read/arrange.ts'
import type { ReadContext } from './read/contract-reader.ts'
import type { LoadedContract } from './read/loaded-contract.ts'
import { readContract } from './read/read-contract.ts'
import { checkShape } from './read/shape.ts'
import type { Bundler } from './schema/bundle.ts'
import { createBundler } from './schema/bundle.ts'
import type { SchemaProblem } from './schema/schema-check.ts'
import type { ReferenceBase, SchemaStore } from './schema/schema-store.ts'
import { createSchemaStore, isInside } from './schema/schema-store.ts'
import { displayPath, readFileText } from './source/file-text.ts'
import type { Report } from './source/source.ts'
import { parseYaml } from './source/yaml-source.ts'

/** Contracts that can be used, and everything that is wrong with all of them. */
export interface LoadedContracts {
  /** In the order of their files. One whose findings are errors of form is not among them. */
  readonly contracts: Contract[]
  /** Grouped by file, in the order of their places. */
  readonly findings: Finding[]
}

export interface LoadOptions {
  /**
   * Folder that schema and example references must not leave. Default: the working directory when it holds the
   * contracts, else the nearest folder above them with a `package.json` or `.git`, else their own.
   */
  readonly root?: string
}

/** What the contracts of one load share. */
interface Load {
  readonly store: SchemaStore
  readonly bundler: Bundler
  readonly findings: Finding[]
  readonly root: string
}

/**
 * Reads a contract file, or each `*.yaml` and `*.yml` with the key `treaty` in a folder and the folders below it
 * (`node_modules` and folders with a leading dot are left out). Never throws on content: every problem is a finding
 * with file, line, column and a code frame. Schema files are read once; nothing is fetched.
 */
export function loadContractsSync(path: string, options: LoadOptions = {}): LoadedContracts {
  const start = resolve(path)
  const findings: Finding[] = []
  const isFile = existsSync(start) && statSync(start).isFile()
  const files = isFile ? [start] : findYaml(start, path, findings)
  const store = createSchemaStore()
  const load: Load = {
    store,
    bundler: createBundler(store, (problem) => findings.push(problemFinding(problem))),
    findings,
    root:
      options.root === undefined ? rootOf(isFile ? dirname(start) : start) : resolve(options.root),
  }
  const read = files.map((file) => readFile(load, file, files.length === 1))
  const loaded = read.flatMap(({ contract }) => (contract ? [contract] : []))
  const hasContracts = read.some(({ isContract }) => isContract)
  for (const { hidden } of read) {
    // An unreadable file beside good contracts may be anything; where nothing else is there, it was meant.
    if (hidden) findings.push(hasContracts ? { ...hidden, severity: 'warning' } : hidden)
  }
  if (files.length > 0 && !hasContracts && findings.length === 0) findings.push(nothingFound(path))
  checkTogether(loaded)
  const reports = new Set(read.flatMap(({ report }) => (report ? [report] : [])))
  findings.push(...store.findings, ...[...reports].flatMap((report) => report.findings))
  return { contracts: loaded.map(({ contract }) => contract), findings: arrangeFindings(findings) }
}

/** {@link loadContractsSync}, for callers that await. */
export function loadContracts(path: string, options: LoadOptions = {}): Promise<LoadedContracts> {
  return new Promise((done) => done(loadContractsSync(path, options)))
}

function nothingFound(path: string): Finding {
  return {
    code: 'CONTRACT_NOT_FOUND',
    message: `no contract was found in \`${displayPath(resolve(path)) || path}\``,
    severity: 'error',
    hint: 'Write `treaty: 1` at the top of a YAML file there, or run treaty init.',
    file: displayPath(resolve(path)),
  }
}

function findYaml(folder: string, path: string, findings: Finding[]): string[] {
  const files: string[] = []
  const seen = new Set<string>()
  const walk = (directory: string) => {
    const real = realpathSync(directory)
    if (seen.has(real)) return
    seen.add(real)
    const entries = readFolder(directory, directory === folder ? undefined : findings)
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const full = join(directory, entry.name)
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
      const facts = entry.isSymbolicLink() ? statSync(full, { throwIfNoEntry: false }) : entry
      if (facts?.isDirectory()) walk(full)
      else if (facts?.isFile() && /\.ya?ml$/i.test(entry.name)) files.push(full)
    }
  }
  try {
    walk(folder)
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    findings.push({
      code: isMissing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      message: isMissing
        ? `there is no file or folder \`${displayPath(folder)}\``
        : `\`${displayPath(folder)}\` cannot be read`,
      severity: 'error',
      hint: 'Name the file or folder that holds the contracts.',
      file: displayPath(folder),
    })
    return []
  }
  if (files.length === 0) findings.push(nothingFound(path))
  return files
}

/** The entries of a folder. One below the first that may not be read is reported, and the rest goes on. */
function readFolder(directory: string, findings: Finding[] | undefined): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    if (!findings) throw error
    findings.push({
      code: 'FILE_UNREADABLE',
      message: `the folder \`${displayPath(directory)}\` cannot be read`,
      severity: 'warning',
      hint: 'Check its permissions.',
      file: displayPath(directory),
    })
    return []
  }
}

function rootOf(folder: string): string {
  const workingDirectory = process.cwd()
  if (isInside(folder, workingDirectory)) return workingDirectory
  for (let at = folder; dirname(at) !== at; at = dirname(at)) {
    if (existsSync(join(at, 'package.json')) || existsSync(join(at, '.git'))) return at
  }
  return folder
}

/** What one file gave. */
interface ReadFile {
  readonly contract?: LoadedContract
  readonly report?: Report
  /** False for YAML that is about something else. */
  readonly isContract: boolean
  /** Why a file could not be told to be a contract; counts fully only where no other is one. */
  readonly hidden?: Finding
}

const contractKeys = [
  'version',
  'purpose',
  'channels',
  'events',
  'commands',
  'producers',
  'consumers',
]

function looksLikeContract(value: JsonObject): boolean {
  return contractKeys.filter((key) => Object.hasOwn(value, key)).length >= 3
}

function readFile(load: Load, path: string, isOnly: boolean): ReadFile {
  const file = displayPath(path)
  const found = readFileText(path)
  if ('finding' in found) return { isContract: false, hidden: found.finding }
  const { value, report } = parseYaml(found.text, file)
  const hasMark = /^["']?treaty["']?[ \t]*:/m.test(found.text)
  if (value === undefined) {
    if (hasMark || isOnly) return { report, isContract: true }
    const [hidden] = report.findings
    return { isContract: false, ...(hidden ? { hidden } : {}) }
  }
  if (!isJsonObject(value) || !Object.hasOwn(value, 'treaty')) {
    return readStranger(report, value, isOnly)
  }
  const contract = readValue(load, value, report, { directory: dirname(path), file })
  return { report, isContract: true, ...(contract ? { contract } : {}) }
}

/** YAML without the key `treaty`: reported where it is meant as a contract, else left alone. */
function readStranger(report: Report, value: Json, isOnly: boolean): ReadFile {
  const isMeant = isOnly || (isJsonObject(value) && looksLikeContract(value))
  if (!isMeant) return { isContract: false }
  report.add(
    'CONTRACT_UNMARKED',
    'this file has no key `treaty`, so it is not read as a contract',
    [],
    {
      hint: 'add `treaty: 1` as its first line',
    },
  )
  return { report, isContract: true }
}

function readValue(
  load: Load,
  value: JsonObject,
  report: Report,
  place: { readonly directory: string; readonly file?: string },
): LoadedContract | undefined {
  const base: ReferenceBase = { directory: place.directory, jail: load.root }
  const { store, bundler, findings } = load
  const context: ReadContext = { report, store, bundler, base, findings, isIncomplete: false }
  checkShape(value, report)
  const hasShapeErrors = report.findings.some(({ severity }) => severity === 'error')
  const read = readContract(context, value, place.file)
  checkContract(read, value, context)
  return hasShapeErrors || context.isIncomplete ? undefined : { contract: read.contract, report }
}

/**
 * Reads one contract from YAML text, for texts that are in no file. References are relative to `directory`
 * (default: the working directory). Never throws on content.
 */
export function readContractText(
  text: string,
  directory: string = process.cwd(),
): { readonly contract?: Contract; readonly findings: readonly Finding[] } {
  const { value, report } = parseYaml(text)
  if (!isJsonObject(value)) {
    if (value !== undefined) report.add('CONTRACT_TYPE_WRONG', 'a contract must be a map', [])
    return { findings: report.findings }
  }
  const findings: Finding[] = []
  const store = createSchemaStore()
  const bundler = createBundler(store, (problem) => findings.push(problemFinding(problem)))
  const load: Load = { store, bundler, findings, root: directory }
  const loaded = readValue(load, value, report, { directory })
  return {
    findings: arrangeFindings([...findings, ...store.findings, ...report.findings]),
    ...(loaded ? { contract: loaded.contract } : {}),
  }
}

/** A problem inside a schema, as a finding at its own place. */
export function problemFinding({ code, message, document, pointer, hint }: SchemaProblem): Finding {
  const { source, prefix } = document
  const path = [...prefix, ...pointer]
  return {
    code,
    message,
    severity: 'error',
    pointer: toPointer(path),
    ...(hint === undefined ? {} : { hint }),
    ...(source.file === undefined ? {} : { file: source.file }),
    ...source.place(path),
  }
}
