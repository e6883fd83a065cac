import { existsSync, readFileSync } from 'node:fs'
import { errorMessage, TreatyError } from '../../core/errors.ts'
import { isJsonObject, type JsonObject } from '../../core/json.ts'

/** The package.json that is there, or undefined. @throws JSON_SYNTAX when it is none */
export function readPackage(path: string): JsonObject | undefined {
  if (!existsSync(path)) return undefined
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (isJsonObject(value)) return value
  } catch (cause) {
    throw broken(path, errorMessage(cause), cause)
  }
  throw broken(path, 'it is no object')
}

function broken(path: string, reason: string, cause?: unknown): TreatyError {
  return new TreatyError('JSON_SYNTAX', `${path} cannot be read: ${reason}`, {
    hint: 'Mend it, or choose another folder.',
    details: { path },
    cause,
  })
}

/** What is there, with what is missing from `wanted`; scripts and dependencies one by one. What is there stays. */
export function mergePackage(existing: JsonObject, wanted: JsonObject): JsonObject {
  const merged: Record<string, JsonObject[string]> = { ...existing }
  for (const name of ['scripts', 'dependencies'] as const) {
    const [own, more] = [existing[name], wanted[name]]
    if (!isJsonObject(more)) continue
    const has = (key: string) =>
      ['dependencies', 'devDependencies'].some((place) => {
        const there = existing[place]
        return name === 'dependencies' && isJsonObject(there) && Object.hasOwn(there, key)
      })
    const added = Object.fromEntries(Object.entries(more).filter(([key]) => !has(key)))
    if (Object.keys(added).length > 0)
      merged[name] = { ...added, ...(isJsonObject(own) ? own : {}) }
  }
  return merged
}
