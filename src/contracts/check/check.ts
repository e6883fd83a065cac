import type { JsonObject } from '../../core/json.ts'
import type { Contract } from '../model.ts'
import { isPlaceholder } from '../read/placeholder.ts'
import type { ReadResult } from '../read/read-contract.ts'
import { shown } from '../read/shape.ts'
import type { FindingOptions, Path, Report } from '../source/source.ts'

/** What the rules of one contract look at. */
export interface Check {
  readonly contract: Contract
  readonly targets: ReadResult['targets']
  /** As written, to tell what was said from what was filled in. */
  readonly value: JsonObject
  readonly report: Report
  /** Adds a finding unless the place is already known to be wrong. */
  add(code: string, message: string, path: Path, options?: FindingOptions): void
}

/** Reports a text that says nothing. */
export function checkText(check: Check, text: string | undefined, path: Path): void {
  if (text === undefined || !isPlaceholder(text)) return
  const name = path.join('.')
  const what = text.trim() === '' ? 'is empty' : `is still a placeholder: ${shown(text)}`
  check.add('PLACEHOLDER', `\`${name}\` ${what}`, path, { hint: 'write what it is about' })
}
