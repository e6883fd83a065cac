import { agentCodes } from './catalog/agents.ts'
import { cliCodes } from './catalog/cli.ts'
import { contractFileCodes } from './catalog/contract-files.ts'
import { contractCodes } from './catalog/contracts.ts'
import type { CatalogEntry } from './catalog/entry.ts'
import { evolutionCodes } from './catalog/evolution.ts'
import { messagingCodes } from './catalog/messaging.ts'
import { registryCodes } from './catalog/registry.ts'
import { serverCodes } from './catalog/server.ts'
import { storeCodes } from './catalog/store.ts'
import { testingCodes } from './catalog/testing.ts'
import type { Finding } from './finding.ts'
import type { Json } from './json.ts'

/**
 * Every code that Treaty reports, as an error or as a finding. `docs/errors.md` and
 * `treaty explain` are this catalogue printed; a test keeps them equal.
 */
export const errorCatalog = {
  ...agentCodes,
  ...cliCodes,
  ...contractCodes,
  ...contractFileCodes,
  ...evolutionCodes,
  ...messagingCodes,
  ...registryCodes,
  ...serverCodes,
  ...storeCodes,
  ...testingCodes,
} as const satisfies Record<string, CatalogEntry>

export type ErrorCode = keyof typeof errorCatalog

export interface TreatyErrorOptions {
  /** What to do next, as one imperative sentence. */
  readonly hint?: string
  /** Machine-readable facts; never secrets, never message payloads. */
  readonly details?: Readonly<Record<string, Json>>
  /** The problems behind the error, all of them. */
  readonly findings?: readonly Finding[]
  readonly cause?: unknown
}

const brand = Symbol.for('treatyjs.TreatyError')

/**
 * The only error class that Treaty throws. Branch on `code`, never on `message`. Two installed
 * copies of the package recognise each other's errors: see {@link isTreatyError}.
 */
export class TreatyError extends Error {
  override readonly name = 'TreatyError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, Json>>
  readonly findings: readonly Finding[]

  constructor(code: ErrorCode, message: string, options: TreatyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details ?? {}
    this.findings = options.findings ?? []
    Object.defineProperty(this, brand, { value: true })
  }

  /** True when the same call may succeed later without a change. */
  get retryable(): boolean {
    return catalogEntry(this.code).retryable
  }

  toJSON(): Json {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      details: this.details,
      ...(this.findings.length === 0 ? {} : { findings: this.findings as unknown as Json }),
    }
  }
}

/** The catalogue's entry of a code. */
export function catalogEntry(code: ErrorCode): CatalogEntry {
  return errorCatalog[code]
}

/** True for an error of this package, also of another installed copy. */
export function isTreatyError(error: unknown): error is TreatyError {
  return typeof error === 'object' && error !== null && brand in error
}

/** The text of whatever was thrown; people throw strings too. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
