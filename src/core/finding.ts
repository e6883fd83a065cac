import type { Json } from './json.ts'

export type Severity = 'error' | 'warning' | 'info'

/**
 * A reported problem with a place: data, never thrown. Checks return all findings, not the first.
 */
export interface Finding {
  /** A code of the catalogue; `treaty explain CODE` prints its long text. */
  readonly code: string
  /** One lower-case sentence without a full stop, understandable alone. */
  readonly message: string
  readonly severity: Severity
  /** What to do next, as one imperative sentence. */
  readonly hint?: string
  /** Where in the value, as a JSON Pointer (RFC 6901); the root is the empty string. */
  readonly pointer?: string
  readonly file?: string
  /** Counts from 1. Absent where no honest place is known. */
  readonly line?: number
  /** Counts from 1. */
  readonly column?: number
  /** The reader's own lines around the place, with the place marked. */
  readonly frame?: string
  readonly event?: string
  readonly consumer?: string
  /** A value that proves the problem. */
  readonly witness?: Json
}

/** True when at least one finding is an error; warnings and infos never fail anything. */
export function hasErrors(findings: readonly Finding[]): boolean {
  return findings.some((finding) => finding.severity === 'error')
}
