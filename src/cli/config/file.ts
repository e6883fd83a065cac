import { existsSync, readFileSync, statSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { displayPath, type Path, parseYaml } from '../../contracts/index.ts'
import { errorMessage, TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { isJsonObject, type Json, type JsonObject, toPointer } from '../../core/json.ts'
import type { ConfigMistake } from '../../webhooks/index.ts'
import type { Masker } from '../masking.ts'
import type { Config } from './define-config.ts'
import { configSchema } from './schema.ts'
import { type AddMistake, checkConfig } from './shape.ts'

const names = [
  'treaty.config.yaml',
  'treaty.config.yml',
  'treaty.config.ts',
  'treaty.config.js',
  'treaty.config.mjs',
]

/** Largest configuration file, in bytes. */
const fileBytesMax = 1_048_576

export interface ConfigFile {
  /** Absolute. */
  readonly path: string
  readonly value: JsonObject
}

/**
 * Finds, reads and checks the configuration file; undefined when there is none and none was named.
 *
 * @throws CONFIG_INVALID with every mistake as a finding
 */
export async function readConfigFile(
  cwd: string,
  named: string | undefined,
  masker: Masker,
): Promise<ConfigFile | undefined> {
  const path = named === undefined ? findFile(cwd) : resolve(cwd, named)
  if (path === undefined) return undefined
  const shown = displayPath(path, cwd)
  const findings: Finding[] = []
  const value = /\.ya?ml$|\.json$/i.test(path)
    ? readYaml(path, shown, { findings, masker })
    : await importModule(path, shown, findings)
  if (findings.length > 0) throw invalid(shown, findings)
  const { webhooks } = (value ?? {}) as Config
  if (webhooks !== undefined) {
    const { webhookMistakes } = await import('../../webhooks/index.ts')
    failFor(webhookFindings(path, webhookMistakes(webhooks), cwd), shown)
  }
  return { path, value: value ?? {} }
}

/** Mistakes of the section `webhooks:` with their places in the file. */
export function webhookFindings(
  path: string,
  mistakes: readonly ConfigMistake[],
  cwd: string,
): readonly Finding[] {
  const placed = mistakes.map((mistake) => ({ ...mistake, path: ['webhooks', ...mistake.path] }))
  return placedFindings(path, placed, cwd)
}

/** Mistakes that were seen after the file was read, with their places in it. */
export function placedFindings(
  path: string,
  mistakes: readonly ConfigMistake[],
  cwd: string,
): readonly Finding[] {
  if (mistakes.length === 0) return []
  const shown = displayPath(path, cwd)
  const isYaml = /\.ya?ml$|\.json$/i.test(path)
  const report = isYaml ? parseYaml(readText(path, shown), shown).report : undefined
  const findings: Finding[] = []
  for (const { path: at, message, hint, severity = 'error' } of mistakes) {
    const code = 'CONFIG_VALUE_WRONG'
    if (report) report.add(code, message, at, { hint, severity })
    else findings.push({ code, message, severity, hint, pointer: toPointer(at), file: shown })
  }
  return report?.findings ?? findings
}

/** @throws CONFIG_INVALID where one of them is an error */
export function failFor(findings: readonly Finding[], shown: string): void {
  if (findings.some(({ severity }) => severity === 'error')) throw invalid(shown, findings)
}

function findFile(cwd: string): string | undefined {
  const found = names.filter((name) => existsSync(join(cwd, name)))
  if (found.length > 1) {
    throw new TreatyError(
      'CONFIG_INVALID',
      `there are several configuration files: ${found.join(', ')}`,
      {
        hint: 'Keep one of them, or name one with --config.',
      },
    )
  }
  return found[0] === undefined ? undefined : join(cwd, found[0])
}

function readYaml(
  path: string,
  shown: string,
  { findings, masker }: { readonly findings: Finding[]; readonly masker: Masker },
): JsonObject | undefined {
  const text = readText(path, shown)
  // Frames show the reader's own lines, also those beside a mistake: a secret in them must not come along.
  masker.addPlainSecrets(text)
  const { value, report } = parseYaml(text, shown)
  if (value !== undefined && value !== null) checkConfig(value, configSchema, report.add)
  findings.push(...report.findings)
  return isJsonObject(value) ? value : undefined
}

function readText(path: string, shown: string): string {
  try {
    const facts = statSync(path)
    if (facts.isFile() && facts.size <= fileBytesMax) return readFileSync(path, 'utf8')
  } catch (cause) {
    throw unreadable(
      shown,
      `the configuration ${shown} cannot be read: ${errorMessage(cause)}`,
      cause,
    )
  }
  throw unreadable(shown, `the configuration ${shown} is not a file of at most 1 MiB`)
}

async function importModule(
  path: string,
  shown: string,
  findings: Finding[],
): Promise<JsonObject | undefined> {
  if (!existsSync(path)) throw unreadable(shown, `there is no configuration file ${shown}`)
  let loaded: { readonly default?: unknown; readonly config?: unknown }
  try {
    loaded = await import(pathToFileURL(path).href)
  } catch (cause) {
    throw unreadable(
      shown,
      `the configuration ${shown} cannot be loaded: ${errorMessage(cause)}`,
      cause,
    )
  }
  const exported = loaded.default ?? loaded.config
  if (typeof exported !== 'object' || exported === null) {
    throw unreadable(shown, `the configuration ${shown} exports no configuration as default`)
  }
  const value = JSON.parse(JSON.stringify(exported)) as Json
  const add: AddMistake = (code, message, at: Path, { hint } = {}) => {
    const place = { pointer: toPointer(at), file: shown, ...(hint === undefined ? {} : { hint }) }
    findings.push({ code, message, severity: 'error', ...place })
  }
  checkConfig(value, configSchema, add)
  return isJsonObject(value) ? value : undefined
}

function unreadable(file: string, message: string, cause?: unknown): TreatyError {
  return new TreatyError('CONFIG_UNREADABLE', message, {
    hint: isAbsolute(file)
      ? 'Check the path after --config.'
      : 'Check the file, or name another with --config.',
    details: { file },
    cause,
  })
}

function invalid(file: string, findings: readonly Finding[]): TreatyError {
  const count = `${findings.length} ${findings.length === 1 ? 'mistake' : 'mistakes'}`
  return new TreatyError('CONFIG_INVALID', `the configuration ${file} has ${count}`, {
    hint: 'Mend the places above.',
    details: { file },
    findings,
  })
}
