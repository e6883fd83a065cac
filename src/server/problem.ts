import {
  catalogEntry,
  type ErrorCode,
  errorMessage,
  isTreatyError,
  TreatyError,
} from '../core/errors.ts'
import type { Finding } from '../core/finding.ts'
import { type Json, toPointer } from '../core/json.ts'

/** Media type of every error that the server answers with. @see RFC 9457 */
export const problemContentType = 'application/problem+json'

/** An error as the API gives it. @see RFC 9457 section 3, with extension members of ours */
export interface Problem {
  /** Path of the page that explains the code; the server serves it itself, so it fits the version that runs. */
  readonly type: string
  readonly title: string
  readonly status: number
  /** What happened this time, as one sentence. */
  readonly detail: string
  readonly code: ErrorCode
  readonly hint?: string
  readonly details?: Readonly<Record<string, Json>>
  readonly findings?: readonly Finding[]
  readonly requestId: string
}

/** What fastify and its parsers throw; only these members are looked at. */
interface FrameworkError {
  readonly code?: string
  readonly statusCode?: number
  readonly message?: string
  readonly validation?: readonly ValidationError[]
  readonly validationContext?: string
}
interface ValidationError {
  readonly instancePath: string
  readonly keyword: string
  readonly message?: string
  readonly params: Readonly<Record<string, unknown>>
}

/** A short title that is the same for each occurrence of a code: `PORT_IN_USE` gives `Port in use`. */
export function codeTitle(code: ErrorCode): string {
  const words = code.toLowerCase().replaceAll('_', ' ')
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}`
}

/** Path of the page about a code. */
export function codePath(code: ErrorCode): string {
  return `/errors/${code}`
}

/** The answer's body for an error of ours. */
export function toProblem(error: TreatyError, requestId: string): Problem {
  const entry = catalogEntry(error.code)
  return {
    type: codePath(error.code),
    title: codeTitle(error.code),
    status: entry.status,
    detail: error.message,
    code: error.code,
    hint: error.hint ?? entry.fix,
    ...(Object.keys(error.details).length === 0 ? {} : { details: error.details }),
    ...(error.findings.length === 0 ? {} : { findings: error.findings }),
    requestId,
  }
}

/**
 * Whatever a route, a parser or the framework threw, as an error of ours. What nobody foresaw becomes
 * UNFORESEEN without its text: it may name things that are no business of the client.
 */
export function asTreatyError(thrown: unknown): TreatyError {
  if (isTreatyError(thrown)) return thrown
  const error = (typeof thrown === 'object' && thrown !== null ? thrown : {}) as FrameworkError
  if (error.validation) return validationError(error.validation, error.validationContext)
  if (error.statusCode === 413) {
    return new TreatyError('REQUEST_TOO_LARGE', 'the request body is larger than the server takes')
  }
  if (error.statusCode === 415) {
    return new TreatyError(
      'UNSUPPORTED_MEDIA_TYPE',
      'the content type of the body is not read here',
    )
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
    return new TreatyError('REQUEST_INVALID', sentence(errorMessage(thrown)))
  }
  return new TreatyError(
    'UNFORESEEN',
    'the server could not answer, for a reason that it did not foresee',
    {
      cause: thrown,
    },
  )
}

function validationError(errors: readonly ValidationError[], part = 'request'): TreatyError {
  const findings = errors.map((error): Finding => {
    const pointer = `${error.instancePath}${missingPointer(error)}`
    const name = pointer === '' ? `the ${part}` : `\`${pointer.slice(1)}\``
    const allowed = error.params.allowedValues
    const choices = Array.isArray(allowed) ? `: ${allowed.join(', ')}` : ''
    return {
      code: 'REQUEST_INVALID',
      severity: 'error',
      pointer,
      message: `${name} in the ${part} ${sentence(error.message ?? 'is not valid')}${choices}`,
    }
  })
  const names = [...new Set(findings.map((finding) => finding.pointer?.slice(1) || part))]
  return new TreatyError('REQUEST_INVALID', `the ${part} is not valid at ${names.join(', ')}`, {
    findings,
  })
}

function missingPointer(error: ValidationError): string {
  const { missingProperty, additionalProperty } = error.params
  if (typeof missingProperty === 'string') return toPointer([missingProperty])
  return typeof additionalProperty === 'string' ? toPointer([additionalProperty]) : ''
}

/** Lower-case start, no full stop: the form of all our messages. */
function sentence(text: string): string {
  const trimmed = text.trim().replace(/\.$/, '')
  return /^[A-Z][a-z]/.test(trimmed)
    ? `${trimmed.charAt(0).toLowerCase()}${trimmed.slice(1)}`
    : trimmed
}
