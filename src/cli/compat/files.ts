import { statSync } from 'node:fs'
import type {
  ContractVerdict,
  DirectionVerdict,
  DraftName,
  Policy,
} from '../../contracts/compat/index.ts'
import { compareContracts, compareSchemas, isSubset } from '../../contracts/compat/index.ts'
import type { Contract, JsonSchema } from '../../contracts/index.ts'
import { loadContracts, parseJson, parseYaml, placeInFile } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import { type Finding, hasErrors } from '../../core/finding.ts'
import { isJsonObject, type Json } from '../../core/json.ts'
import type { CommandContext, CommandResult } from '../command.ts'
import { renderVerdict } from '../evolution/report.ts'
import { exitCode } from '../exit-code.ts'
import { readAll } from '../read-input.ts'

/** Two files or folders to compare; absolute paths. */
export interface FilesToCompare {
  readonly a: string
  readonly b: string
  readonly policy?: string
  readonly mode?: string
  readonly draft?: string
  readonly budget?: number
}

/**
 * Compares two schemas, or two contracts (files or folders).
 *
 * @throws FILE_NOT_FOUND · JSON_SYNTAX · YAML_SYNTAX · SCHEMA_INVALID · REF_REMOTE · REF_NOT_FOUND · CONTRACT_INVALID
 */
export async function compareFiles(
  files: FilesToCompare,
  context: CommandContext,
): Promise<CommandResult> {
  if (isFolder(files.a) || isFolder(files.b)) return contractsResult(files)
  const [before, after] = [await readValue(files.a, context), await readValue(files.b, context)]
  if ([before, after].some((value) => isJsonObject(value) && value.treaty !== undefined)) {
    return contractsResult(files)
  }
  return schemasResult(asSchema(before, files.a), asSchema(after, files.b), files)
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

async function readValue(path: string, context: CommandContext): Promise<Json> {
  const text = (await readAll(path, context)).toString('utf8')
  return /\.ya?ml$/i.test(path) ? readYaml(text, path) : readJson(text, path)
}

function asSchema(value: Json, path: string): JsonSchema {
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

/** One question, asked of the prover as it is where neither policy nor mode was given. */
function schemasResult(
  before: JsonSchema,
  after: JsonSchema,
  files: FilesToCompare,
): CommandResult {
  const { policy, mode, draft, budget } = files
  const budgetMs = budget === undefined ? {} : { budgetMs: budget }
  if (policy === undefined && mode === undefined) {
    const drafts =
      draft === undefined ? {} : { draftA: draft as DraftName, draftB: draft as DraftName }
    return schemaResult([isSubset(before, after, { ...drafts, ...budgetMs })], files.b)
  }
  const { backward, forward, bump } = compareSchemas(before, after, {
    policy: (policy ?? 'strict') as Policy,
    mode: mode ?? 'backward',
    ...budgetMs,
  })
  const asked = [backward, forward].filter((one) => one !== undefined)
  return schemaResult(asked.length === 0 ? [{ verdict: 'compatible' }] : asked, files.b, { bump })
}

function schemaResult(
  verdicts: readonly DirectionVerdict[],
  b: string,
  more: object = {},
): CommandResult {
  const gravest =
    verdicts.find(({ verdict }) => verdict === 'breaking') ??
    verdicts.find(({ verdict }) => verdict === 'unknown') ??
    ({ verdict: 'compatible' } as const)
  return {
    exitCode: gravest.verdict === 'compatible' ? exitCode.ok : exitCode.findings,
    data: { ...gravest, ...more },
    findings: verdicts.flatMap((verdict) => findingsOf(verdict, b)),
    toText({ green, red, yellow, symbols }) {
      if (gravest.verdict === 'compatible') return green(`${symbols.ok} compatible`)
      const paint = gravest.verdict === 'breaking' ? red : yellow
      return paint(`${symbols.fail} ${gravest.verdict}`)
    },
  }
}

function findingsOf(verdict: DirectionVerdict, b: string): Finding[] {
  if (verdict.verdict === 'compatible') return []
  const place = placeInFile(b, verdict.schemaPointer) ?? { file: b }
  if (verdict.verdict === 'unknown') {
    const message = `it is not known whether every value is accepted: ${verdict.reason}`
    return [{ code: 'VERDICT_UNKNOWN', message, severity: 'error', ...place }]
  }
  const { witness, instancePointer: pointer, reason } = verdict
  const proof = witness === undefined ? {} : { witness }
  return [
    { code: 'BREAKING_CHANGE', message: reason, severity: 'error', pointer, ...proof, ...place },
  ]
}

async function contractsResult({
  a,
  b,
  policy,
  mode,
  budget,
}: FilesToCompare): Promise<CommandResult> {
  const [before, after] = [await contractsIn(a), await contractsIn(b)]
  const options = {
    ...(policy === undefined ? {} : { policy: policy as Policy }),
    ...(mode === undefined ? {} : { mode }),
    ...(budget === undefined ? {} : { budgetMs: budget }),
  }
  const pairs = after.flatMap((now): (readonly [Contract, Contract])[] => {
    const old =
      before.find(({ id }) => id === now.id) ??
      (before.length === 1 && after.length === 1 ? before[0] : undefined)
    return old === undefined ? [] : [[old, now]]
  })
  const verdicts = pairs.map(([old, now]) => compareContracts(old, now, options))
  const findings = verdicts.flatMap((each) => each.findings)
  const isFine = !hasErrors(findings)
  return {
    exitCode: isFine ? exitCode.ok : exitCode.findings,
    data: {
      verdict: gravestOf(verdicts),
      contracts: verdicts.map(({ findings: _said, ...verdict }) => verdict),
    },
    findings,
    showsFindings: true,
    toText(style) {
      const { green, red, symbols } = style
      const last = isFine ? green(`${symbols.ok} compatible`) : red(`${symbols.fail} breaking`)
      const blocks = verdicts.map((each) => renderVerdict(each, style))
      return [...blocks, last].filter((block) => block !== '').join('\n\n')
    },
  }
}

function gravestOf(verdicts: readonly ContractVerdict[]) {
  const all = verdicts.flatMap(({ verdict, consumers }) => [
    verdict,
    ...Object.values(consumers).flatMap((impact) => (impact.pending ? [] : [impact.verdict])),
  ])
  if (all.includes('breaking')) return 'breaking'
  return all.includes('unknown') ? 'unknown' : 'compatible'
}

async function contractsIn(path: string): Promise<readonly Contract[]> {
  const { contracts, findings } = await loadContracts(path)
  if (contracts.length > 0) return contracts
  throw new TreatyError('CONTRACT_INVALID', `no contract in ${path} could be read`, {
    hint: 'Run treaty check and mend what it lists.',
    findings,
  })
}
