import type { DraftName, Verdict } from '../../contracts/compat/index.ts'
import { isSubset } from '../../contracts/compat/index.ts'
import { type JsonSchema, parseJson, parseYaml, placeInFile } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import type { CommandContext, CommandResult } from '../command.ts'
import { exitCode } from '../exit-code.ts'
import { readAll } from '../read-input.ts'

/** Two files to compare; absolute paths. */
export interface FilesToCompare {
  readonly a: string
  readonly b: string
  readonly draft?: string
  readonly budget?: number
}

/** Compares two schema files. @throws FILE_NOT_FOUND · JSON_SYNTAX · SCHEMA_INVALID · REF_REMOTE · REF_NOT_FOUND */
export async function compareFiles(
  { a, b, draft, budget }: FilesToCompare,
  context: CommandContext,
): Promise<CommandResult> {
  const [before, after] = [await readSchemaFile(a, context), await readSchemaFile(b, context)]
  const verdict = isSubset(before, after, {
    ...(draft === undefined ? {} : { draftA: draft as DraftName, draftB: draft as DraftName }),
    ...(budget === undefined ? {} : { budgetMs: budget }),
  })
  return resultOf(verdict, b)
}

async function readSchemaFile(path: string, context: CommandContext): Promise<JsonSchema> {
  const text = (await readAll(path, context)).toString('utf8')
  const value = /\.ya?ml$/i.test(path) ? readYaml(text, path) : readJson(text, path)
  if (isJsonObject(value) || typeof value === 'boolean') return value
  throw new TreatyError('SCHEMA_INVALID', `${path} holds no schema`, {
    hint: 'A schema is a JSON object, true or false.',
  })
}

function readJson(text: string, path: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (cause) {
    const parsed = parseJson(text, path)
    throw new TreatyError('JSON_SYNTAX', `${path} is not JSON`, {
      findings: 'finding' in parsed ? [parsed.finding] : [],
      cause,
    })
  }
}

function readYaml(text: string, path: string): Json {
  const { value, report } = parseYaml(text, path)
  if (value !== undefined) return value
  throw new TreatyError('YAML_SYNTAX', `${path} is not YAML`, { findings: report.findings })
}

function resultOf(verdict: Verdict, b: string): CommandResult {
  const findings = findingsOf(verdict, b)
  return {
    exitCode: verdict.verdict === 'compatible' ? exitCode.ok : exitCode.findings,
    data: verdict,
    findings,
    toText({ green, red, yellow, symbols }) {
      if (verdict.verdict === 'compatible') return green(`${symbols.ok} compatible`)
      const paint = verdict.verdict === 'breaking' ? red : yellow
      return paint(`${symbols.fail} ${verdict.verdict}`)
    },
  }
}

function findingsOf(verdict: Verdict, b: string): Finding[] {
  if (verdict.verdict === 'compatible') return []
  const place = placeInFile(b, verdict.schemaPointer) ?? { file: b }
  if (verdict.verdict === 'unknown') {
    const message = `it is not known whether every value is accepted: ${verdict.reason}`
    return [{ code: 'VERDICT_UNKNOWN', message, severity: 'error', ...place }]
  }
  const { witness, instancePointer: pointer, reason } = verdict
  return [
    { code: 'BREAKING_CHANGE', message: reason, severity: 'error', pointer, witness, ...place },
  ]
}
