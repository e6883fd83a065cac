import { isTreatyError } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import type { Json } from '../../core/json.ts'
import { createLocator, type Locator } from '../compat/compare-locate.ts'
import { createMessageValidator } from '../message/message-validator.ts'
import type { Contract, Upcast } from '../model.ts'
import { parseVersion } from '../semver.ts'
import { createUpcaster, jsonataProblem, type Upcaster } from './upcast.ts'
import { sampleMessages } from './upcast-samples.ts'

/** Failures that are told of one event and version; the rest would say the same again. */
const failuresMax = 3

interface Check {
  readonly contract: Contract
  readonly upcaster: Upcaster
  readonly locator: Locator
}

/**
 * Tries the upcasts of a contract: each must be JSONata, and every message of an earlier major version (its examples,
 * and messages made from its schema) must satisfy the present schema afterwards. Without earlier versions only the text is judged.
 */
export async function checkUpcasts(
  contract: Contract,
  earlier: readonly Contract[] = [],
): Promise<Finding[]> {
  const check: Check = {
    contract,
    upcaster: createUpcaster(contract),
    locator: createLocator(contract),
  }
  const findings: Finding[] = []
  for (const [at, upcast] of contract.evolution.upcast.entries()) {
    const problem = await jsonataProblem(upcast.jsonata)
    if (problem !== undefined) findings.push(invalid(check, { at, upcast }, problem))
  }
  if (findings.length > 0) return findings
  for (const old of earlier) {
    if (majorOf(old.version) === majorOf(contract.version)) continue
    for (const event of Object.keys(old.events)) {
      if (contract.events[event] === undefined) continue
      findings.push(...(await tryEvent(check, old, event)))
    }
  }
  return findings
}

const majorOf = (version: string) => parseVersion(version)?.major

function placed({ locator }: Check, path: readonly (string | number)[]): Partial<Finding> {
  const place = locator.inContract(path)
  if (place === undefined) return {}
  const { file, line, column, frame, pointer } = place
  return { file, line, column, frame, pointer }
}

function invalid(
  check: Check,
  { at, upcast }: { readonly at: number; readonly upcast: Upcast },
  { message, position }: { readonly message: string; readonly position?: number },
): Finding {
  const where = position === undefined ? '' : ` at character ${position}`
  return {
    code: 'UPCAST_INVALID',
    severity: 'error',
    message: `the upcast of \`${upcast.event}\` is not JSONata${where}: ${message}`,
    hint: 'Correct the expression, for example `$merge([$, {"currency": "EUR"}])`.',
    event: upcast.event,
    ...placed(check, ['evolution', 'upcast', at, 'jsonata']),
  }
}

async function tryEvent(check: Check, old: Contract, event: string): Promise<Finding[]> {
  const { contract, upcaster } = check
  const steps = upcaster.path(event, old.version)
  const reads = createMessageValidator({ contracts: [contract], view: 'reader' }).forEvent(event)
  const definition = old.events[event]
  if (reads === undefined || definition === undefined) return []
  const examples = definition.examples.map(({ value }) => value)
  const messages = [...examples, ...sampleMessages(definition.schema, old.evolution.policy)]
  if (steps === undefined) {
    const lost = messages.find((message) => !reads.data.check(message))
    return lost === undefined ? [] : [missing(check, { old, event, witness: lost })]
  }
  const at = contract.evolution.upcast.indexOf(steps[0] as Upcast)
  const findings: Finding[] = []
  for (const message of messages) {
    const why = await failureOf(check, { old, event, message, reads: reads.data })
    if (why === undefined) continue
    findings.push({
      code: 'UPCAST_BREAKS',
      severity: 'error',
      message: `a message of \`${event}\` ${old.version} is not valid after its upcast: ${why}`,
      hint: 'Let the upcast produce what the present schema asks for, for this message too.',
      event,
      witness: message,
      ...placed(check, ['evolution', 'upcast', at, 'jsonata']),
    })
    if (findings.length >= failuresMax) break
  }
  return findings
}

async function failureOf(
  { upcaster }: Check,
  tried: {
    readonly old: Contract
    readonly event: string
    readonly message: Json
    readonly reads: { findings(value: unknown): Finding[] }
  },
): Promise<string | undefined> {
  const { old, event, message, reads } = tried
  try {
    const made = await upcaster.convert(event, message, { from: old.version })
    return reads.findings(made)[0]?.message
  } catch (error) {
    if (!isTreatyError(error)) throw error
    return error.message
  }
}

function missing(
  check: Check,
  {
    old,
    event,
    witness,
  }: { readonly old: Contract; readonly event: string; readonly witness: Json },
): Finding {
  return {
    code: 'UPCAST_MISSING',
    severity: 'warning',
    message: `messages of \`${event}\` ${old.version} that are kept cannot be read by ${check.contract.version}: no upcast leads there`,
    hint: `Add \`{ event: ${event}, from: ${majorOf(old.version)}.x, to: ${majorOf(check.contract.version)}.x, jsonata: … }\` to \`evolution.upcast\`.`,
    event,
    witness,
    ...placed(check, ['evolution', 'upcast']),
  }
}
