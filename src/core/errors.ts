import { agentCodes } from './catalog/agents.ts'
import { brokerCodes } from './catalog/broker.ts'
import { cliCodes } from './catalog/cli.ts'
import { contractFileCodes } from './catalog/contract-files.ts'
import { contractCodes } from './catalog/contracts.ts'
import type { CatalogEntry } from './catalog/entry.ts'
import { evolutionCodes } from './catalog/evolution.ts'
import { exchangeCodes } from './catalog/exchange.ts'
import { httpCodes } from './catalog/http.ts'
import { messagingCodes } from './catalog/messaging.ts'
import { registryCodes } from './catalog/registry.ts'
import { serverCodes } from './catalog/server.ts'
import { storeCodes } from './catalog/store.ts'
import { testingCodes } from './catalog/testing.ts'
import { webhookCodes } from './catalog/webhooks.ts'
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
  ...exchangeCodes,
  ...httpCodes,
  ...brokerCodes,
  ...messagingCodes,
  ...registryCodes,
  ...serverCodes,
  ...storeCodes,
  ...testingCodes,
  ...webhookCodes,
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
  /** Of a call to a neighbour: what kind of failure it was. */
  readonly kind?: CallErrorKind
  /** HTTP status of the neighbour's answer. */
  readonly status?: number
  /** Attempts made, the first included; 0: none was sent. */
  readonly attempts?: number
  /** Milliseconds from now before which another call is pointless. */
  readonly retryAfterMs?: number
  /** Where the code alone does not say it: may the same call succeed later without a change? */
  readonly retryable?: boolean
}

/** How a call to a neighbour can fail. */
export type CallErrorKind =
  | 'http'
  | 'network'
  | 'timeout'
  | 'deadline'
  | 'aborted'
  | 'parse'
  | 'schema'
  | 'breaker_open'
  | 'bulkhead_full'
  | 'rate_limited'
  | 'retry_after_exceeds_deadline'
  | 'egress_denied'
  | 'auth'

/** Own properties only where they are known, so that other errors print as before. */
const callFacts = ['kind', 'status', 'attempts', 'retryAfterMs'] as const

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
  /** Of a call to a neighbour only, as the three below it. */
  declare readonly kind?: CallErrorKind
  declare readonly status?: number
  declare readonly attempts?: number
  declare readonly retryAfterMs?: number
  readonly #retryable: boolean | undefined

  constructor(code: ErrorCode, message: string, options: TreatyErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.hint = options.hint
    this.details = options.details ?? {}
    this.findings = options.findings ?? []
    this.#retryable = options.retryable
    for (const fact of callFacts) {
      if (options[fact] !== undefined) Object.assign(this, { [fact]: options[fact] })
    }
    Object.defineProperty(this, brand, { value: true })
  }

  /** True when the same call may succeed later without a change. */
  get retryable(): boolean {
    return this.#retryable ?? catalogEntry(this.code).retryable
  }

  toJSON(): Json {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...Object.fromEntries(
        callFacts.flatMap((fact) => (this[fact] === undefined ? [] : [[fact, this[fact]]])),
      ),
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
