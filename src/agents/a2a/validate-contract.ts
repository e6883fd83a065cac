import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonSchema } from '../../contracts/index.ts'
import { compileSchema, packFolder } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import type { ContractError } from './contract-error.ts'
import { toContractErrors } from './contract-error.ts'
import type { AgentContractName } from './contracts.ts'
import { agentContractNames } from './contracts.ts'

/** The verdict on one payload. */
export interface ContractReport {
  readonly valid: boolean
  /** All errors; empty when valid. */
  readonly errors: readonly ContractError[]
}

const fileOfContract: Readonly<Record<AgentContractName, string>> = {
  TaskSpanContract: 'task-span-contract.schema.json',
  HandoffContract: 'handoff-contract.schema.json',
  ArtifactIntent: 'artifact-intent.schema.json',
  GateResult: 'gate-result.schema.json',
}

const schemas = new Map<AgentContractName, JsonObject>()

/**
 * The JSON Schema (2020-12) of a contract between agents, version `v1`.
 *
 * @throws AGENT_CONTRACT_UNKNOWN for any other name
 */
export function agentContractSchema(name: AgentContractName): JsonObject {
  const known = schemas.get(name)
  if (known !== undefined) return known
  if (!agentContractNames.includes(name)) {
    throw new TreatyError(
      'AGENT_CONTRACT_UNKNOWN',
      `unknown contract name ${JSON.stringify(name)}`,
      {
        hint: `Use one of ${agentContractNames.join(', ')}.`,
      },
    )
  }
  const file = join(packFolder('a2a-v1'), 'schemas', fileOfContract[name])
  const schema = JSON.parse(readFileSync(file, 'utf8')) as JsonObject
  schemas.set(name, schema)
  return schema
}

/** A version of a contract beside `v1`. */
export interface ContractVersion {
  readonly name: AgentContractName
  /** What `schema_version` says. */
  readonly version: string
  readonly schema: JsonSchema
}

/** Judges payloads. */
export type ContractValidator = (name: AgentContractName, payload: unknown) => ContractReport

/**
 * A validator that knows more versions than `v1`, so that two can be in use at once: `schema_version` of the payload chooses. What
 * names no known version is judged by `v1`, and refused there.
 */
export function createContractValidator(
  versions: readonly ContractVersion[] = [],
): ContractValidator {
  return (name, payload) => {
    const wanted = isJsonObject(payload) ? payload.schema_version : undefined
    const other = versions.find((one) => one.name === name && one.version === wanted)
    const schema = other?.schema ?? agentContractSchema(name)
    const errors = compileSchema(schema).errors(payload)
    const id = isJsonObject(schema) && typeof schema.$id === 'string' ? schema.$id : name
    return { valid: errors.length === 0, errors: toContractErrors(schema, id, errors) }
  }
}

/**
 * Judges a payload by version `v1` of a contract. Objects are closed, formats asserted, null is no value of an optional
 * field; every error is reported, in the order of the schema. Never throws on the payload.
 *
 * @throws AGENT_CONTRACT_UNKNOWN when there is no such contract
 */
export const validateContract: ContractValidator = createContractValidator()
