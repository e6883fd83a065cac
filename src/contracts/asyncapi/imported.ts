import type { Finding } from '../../core/finding.ts'
import type { JsonObject } from '../../core/json.ts'
import { readContractText } from '../loader.ts'
import type { Contract } from '../model.ts'

/** What an import gave. */
export interface Imported {
  /** Absent where an error stood in the way. */
  readonly contract?: Contract
  /** What could not be carried over, and what is wrong with the document; every one, errors too. */
  readonly findings: readonly Finding[]
}

/** A name as contracts permit them, as near to the text as may be. */
export function contractName(text: string): string {
  const name = text.replaceAll(/[^A-Za-z0-9._:/-]+/g, '-').replace(/^[^A-Za-z0-9]+|-+$/g, '')
  return name === '' ? 'unnamed' : name.slice(0, 200)
}

/** A semantic version as near to the text as may be; undefined where there is no number in it. */
export function contractVersion(text: string): string | undefined {
  const found = /^v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(-[0-9A-Za-z.-]+)?(?:\+.*)?$/.exec(
    text.trim(),
  )
  if (!found) return undefined
  const [, major, minor = '0', patch = '0', label = ''] = found
  return `${[major, minor, patch].map(Number).join('.')}${label}`
}

/** Judges the source of a contract that an import has made. Its findings have no lines: there is no such file. */
export function finishImport(source: JsonObject, findings: readonly Finding[]): Imported {
  const read = readContractText(JSON.stringify(source))
  const judged = read.findings
    .filter(({ severity }) => severity !== 'info')
    .map(({ line: _line, column: _column, frame: _frame, ...rest }) => rest)
  return {
    findings: [...findings, ...judged],
    ...(read.contract === undefined ? {} : { contract: read.contract }),
  }
}
