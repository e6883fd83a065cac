import { resolve } from 'node:path'
import { parsePointer, toPointer } from '../../core/json.ts'
import type { Contract } from '../model.ts'
import { displayPath, readFileText } from '../source/file-text.ts'
import { jsonSource } from '../source/json-source.ts'
import type { Path, Place, Source } from '../source/source.ts'
import { parseYaml } from '../source/yaml-source.ts'
import type { Part } from './roles.ts'

/** Where something stands in the reader's own files. */
export interface FilePlace extends Place {
  readonly file: string
  /** RFC 6901, into the file. */
  readonly pointer: string
}

/** Finds places in the files of one contract; each file is read once. */
export interface Locator {
  /** The first of the pointers, into a schema of the contract, that its file really has. */
  inSchema(
    schema: { readonly name: string; readonly kind: 'event' | 'command'; readonly part: Part },
    pointers: readonly string[],
  ): FilePlace | undefined
  /** A place in the contract's own file; the nearest ancestor's where the path ends early. */
  inContract(path: Path, at?: 'key' | 'value'): FilePlace | undefined
}

interface ReadFile {
  readonly source: Source
  readonly value: unknown
}

function has(value: unknown, path: Path): boolean {
  let current = value
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step))
      return false
    current = (current as Record<string | number, unknown>)[step]
  }
  return true
}

function read(path: string): ReadFile | undefined {
  const found = readFileText(path)
  if ('finding' in found) return undefined
  if (/\.ya?ml$/i.test(path)) {
    const { value, report } = parseYaml(found.text)
    return { source: report.source, value }
  }
  try {
    return { source: jsonSource(found.text), value: JSON.parse(found.text) }
  } catch {
    return undefined // No JSON any more: the contract was read before somebody changed the file.
  }
}

/** Finds places in the files that `contract` was read from; a contract that was made in code has none. */
export function createLocator(contract: Contract): Locator {
  const files = new Map<string, ReadFile | undefined>()
  const open = (path: string) => {
    const full = resolve(path)
    if (!files.has(full)) files.set(full, read(full))
    return files.get(full)
  }
  const place = (path: string, steps: Path, at: 'key' | 'value'): FilePlace | undefined => {
    const found = open(path)?.source.place(steps, at)
    return found && { file: displayPath(resolve(path)), pointer: toPointer(steps), ...found }
  }
  const inContract: Locator['inContract'] = (path, at = 'value') =>
    contract.file === undefined ? undefined : place(contract.file, path, at)
  return {
    inContract,
    inSchema({ name, kind, part }, pointers) {
      const table = kind === 'event' ? contract.events : contract.commands
      const written: Path = [`${kind}s`, name, ...keyOf(part)]
      const separate = part === 'data' ? table[name]?.schemaFile : undefined
      const file = separate ?? contract.file
      if (file === undefined) return undefined
      const prefix = separate === undefined ? written : []
      const value = open(file)?.value
      for (const pointer of pointers) {
        const steps = [...prefix, ...(parsePointer(pointer) ?? [])]
        // The root of a file is no place: it would point at its first brace, whatever is wrong.
        if (steps.length > prefix.length && has(value, steps)) return place(file, steps, 'value')
      }
      return separate === undefined
        ? inContract(written, 'key')
        : (place(file, [], 'value') ?? inContract(written, 'value'))
    },
  }
}

function keyOf(part: Part): Path {
  if (part === 'data') return ['schema']
  return part === 'reply' ? ['reply'] : ['errors', part.slice('error '.length)]
}
