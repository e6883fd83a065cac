import type { Contract, ContractInput } from '../../contracts/index.ts'
import { compareVersions, defineContract, parseVersion } from '../../contracts/index.ts'
import { errorMessage, isTreatyError, TreatyError } from '../../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts'

const timeoutMs = 10_000
/** Requests that are under way at the same time. */
const concurrency = 8

/** A folder that is not there: what a registry says must not make us read files. */
const nowhere = { directory: '/dev/null/registry-contracts-read-no-files' }

/**
 * Reads JSON from a registry.
 *
 * @throws BASELINE_UNAVAILABLE
 */
export async function getJson(
  base: string,
  path: string,
  signal?: AbortSignal,
): Promise<Json | undefined> {
  const url = new URL(`${base.replace(/\/+$/, '')}${path}`)
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json' },
      signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    })
    if (response.status === 404) return undefined
    if (!response.ok) throw unavailable(base, `it answered ${response.status}`)
    return (await response.json()) as Json
  } catch (cause) {
    if (isTreatyError(cause)) throw cause
    throw unavailable(base, errorMessage(cause), cause)
  }
}

function unavailable(base: string, why: string, cause?: unknown): TreatyError {
  return new TreatyError('BASELINE_UNAVAILABLE', `the registry at ${base} cannot be read: ${why}`, {
    hint: 'Check the URL, and that treaty serve runs there.',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Items of a list answer, whether wrapped or not. */
export function itemsOf(answer: Json | undefined): JsonObject[] {
  const list = isJsonObject(answer) ? (answer.items ?? answer.versions) : answer
  return Array.isArray(list) ? (list as readonly Json[]).filter((item) => isJsonObject(item)) : []
}

/** All versions of the named contracts that a registry has. @throws BASELINE_UNAVAILABLE */
export async function fetchHistory(
  base: string,
  { ids, signal }: { readonly ids: readonly string[]; readonly signal?: AbortSignal },
): Promise<ReadonlyMap<string, readonly Contract[]>> {
  const found = new Map<string, Contract[]>()
  const latest = itemsOf(await getJson(base, '/api/contracts', signal))
  const todo: { id: string; version: string }[] = []
  for (const id of ids) {
    const all = itemsOf(
      await getJson(base, `/api/contracts/${encodeURIComponent(id)}/versions`, signal),
    )
    const known = all.length > 0 ? all : latest.filter((item) => item.id === id)
    for (const { version } of known) if (typeof version === 'string') todo.push({ id, version })
  }
  const work = async () => {
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const contract = await fetchContract(base, next, signal)
      if (contract === undefined) continue
      found.set(next.id, [...(found.get(next.id) ?? []), contract])
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  for (const [id, versions] of found) found.set(id, versions.toSorted(byVersion))
  return found
}

function byVersion(a: Contract, b: Contract): number {
  const [left, right] = [parseVersion(a.version), parseVersion(b.version)]
  return left && right ? compareVersions(left, right) : 0
}

/** One version of a contract; undefined when the registry does not have it. @throws BASELINE_UNAVAILABLE */
export async function fetchContract(
  base: string,
  { id, version }: { readonly id: string; readonly version: string },
  signal?: AbortSignal,
): Promise<Contract | undefined> {
  const path = `/api/contracts/${encodeURIComponent(id)}/versions/${encodeURIComponent(version)}`
  const answer = await getJson(base, path, signal)
  return isJsonObject(answer) ? contractOf(base, answer) : undefined
}

/** A contract as an API gives it: in the shape of its file, or as the model. @throws BASELINE_UNAVAILABLE */
function contractOf(base: string, answer: JsonObject): Contract {
  const body = [answer.source, answer.contract, answer].find(isJsonObject) as JsonObject
  if (body.treaty !== undefined) {
    try {
      return defineContract(body as unknown as ContractInput, nowhere)
    } catch (cause) {
      throw unavailable(base, `its contract ${String(body.id)} is not valid`, cause)
    }
  }
  const model = body as unknown as Contract
  const withExamples = <T extends { readonly examples: readonly unknown[] }>(
    table: Readonly<Record<string, T>>,
  ) =>
    Object.fromEntries(
      Object.entries(table).map(([name, message]) => [
        name,
        { ...message, examples: message.examples.map((value) => ({ value })) },
      ]),
    )
  return {
    ...model,
    events: withExamples(model.events) as unknown as Contract['events'],
    commands: withExamples(model.commands) as unknown as Contract['commands'],
  }
}
