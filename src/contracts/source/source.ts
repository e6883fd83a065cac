import type { Finding, Severity } from '../../core/finding.ts'
import type { Json } from '../../core/json.ts'
import { toPointer } from '../../core/json.ts'

/** Steps from the root of a document to a place in it: keys and indexes. */
export type Path = readonly (string | number)[]

/** A place in a text, counted from 1. */
export interface Place {
  readonly line: number
  readonly column: number
  readonly frame: string
}

/** A document whose values can be traced back to the reader's own text. */
export interface Source {
  /** As findings print it; absent for values that were written in code. */
  readonly file?: string
  /**
   * Where the value at `path` stands, or its key; the nearest ancestor's place where the path ends early.
   * Undefined where no honest place is known. Costs a walk along the path, so ask only for findings.
   */
  place(path: Path, at?: 'key' | 'value'): Place | undefined
}

/** A source for values written in code: pointers only. */
export const codeSource: Source = { place: () => undefined }

/** What a finding may carry beside its code, message and place. */
export interface FindingOptions {
  readonly hint?: string
  /** Mark the key instead of its value. */
  readonly at?: 'key' | 'value'
  readonly severity?: Severity
  readonly event?: string
  readonly consumer?: string
  readonly witness?: Json
}

/** Collects the findings of one document. */
export interface Report {
  readonly source: Source
  readonly findings: Finding[]
  /** Adds a finding of severity error unless `options` says otherwise. */
  add(code: string, message: string, path: Path, options?: FindingOptions): void
  /** Takes over a finding that already has its place. */
  push(finding: Finding): void
  /** True when an error was reported at `path` or at one of its ancestors but the root. */
  isBroken(path: Path): boolean
}

/** The event and consumer that a path into a contract leads through. */
function ownersOf([kind, name, inner, event]: Path): { event?: string; consumer?: string } {
  if (typeof name !== 'string') return {}
  if (kind === 'events' || kind === 'commands') return { event: name }
  if (kind !== 'consumers') return {}
  const isAboutEvent = inner === 'events' && typeof event === 'string'
  return isAboutEvent ? { consumer: name, event } : { consumer: name }
}

/** A hint as a sentence, except for the question in rustc's manner, which begins small. */
function sentence(hint: string): string {
  if (hint.startsWith('did you mean')) return hint
  const text = hint.charAt(0).toUpperCase() + hint.slice(1)
  return /[.?!…]$/.test(text) ? text : `${text}.`
}

/** An empty report about one document. */
export function createReport(source: Source): Report {
  const findings: Finding[] = []
  const broken = new Set<string>()
  return {
    source,
    findings,
    add(code, message, path, options = {}) {
      const { at, severity = 'error', hint, ...rest } = options
      const pointer = toPointer(path)
      if (severity === 'error') broken.add(pointer)
      const place = source.place(path, at)
      findings.push({
        code,
        message,
        severity,
        pointer,
        ...(hint === undefined ? {} : { hint: sentence(hint) }),
        ...ownersOf(path),
        ...rest,
        ...(source.file === undefined ? {} : { file: source.file }),
        ...place,
      })
    },
    push: (finding) => void findings.push(finding),
    isBroken(path) {
      for (let length = path.length; length > 0; length -= 1) {
        if (broken.has(toPointer(path.slice(0, length)))) return true
      }
      return false
    },
  }
}
