import { parsePointer } from '../../core/json.ts'
import { displayPath, readFileText } from './file-text.ts'
import { jsonSource } from './json-source.ts'
import type { Place } from './source.ts'
import { parseYaml } from './yaml-source.ts'

/**
 * Line, column and code frame of what a JSON Pointer leads to in a JSON or YAML file (by its ending), for findings
 * about values whose text is no longer at hand. The nearest ancestor's place where the pointer ends early; undefined
 * when the file cannot be read or the pointer is none. Reads the file anew, so ask only for findings.
 */
export function placeInFile(
  path: string,
  pointer: string,
  at: 'key' | 'value' = 'value',
): (Place & { readonly file: string }) | undefined {
  const steps = parsePointer(pointer)
  const found = readFileText(path)
  if (!steps || 'finding' in found) return undefined
  const isYaml = /\.ya?ml$/i.test(path)
  const source = isYaml ? parseYaml(found.text).report.source : jsonSource(found.text)
  const place = source.place(steps, at)
  return place && { file: displayPath(path), ...place }
}
