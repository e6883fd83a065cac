import { errorMessage, TreatyError } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'

/** Milliseconds that one answer of a registry may take. */
const answerMsMax = 10_000
/** Subjects that are read of one registry at most. */
const subjectsMax = 10_000

/**
 * The subjects of a Confluent-compatible registry on this machine: the latest version of each, the number of
 * earlier ones left out, and whatever these refer to.
 *
 * @throws IMPORT_REMOTE for another machine · IMPORT_UNREACHABLE · CONFLUENT_DUMP_INVALID
 */
export async function readRegistry(url: string, signal: AbortSignal): Promise<JsonObject> {
  const base = loopbackUrl(url)
  const get = (path: string) => ask(`${base}${path}`, signal)
  const subjects = await get('/subjects')
  if (!Array.isArray(subjects) || subjects.length > subjectsMax) throw invalid('/subjects')
  const versions = new Map<string, JsonObject>()
  const todo: [subject: string, version: string][] = subjects.map((one) => [String(one), 'latest'])
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const [subject, version] = next
    const path = `/subjects/${encodeURIComponent(subject)}/versions/${version}`
    const found = await get(path)
    if (!isJsonObject(found) || typeof found.version !== 'number') throw invalid(path)
    const key = JSON.stringify([subject, found.version])
    if (versions.has(key)) continue
    versions.set(key, found)
    for (const reference of Array.isArray(found.references) ? found.references : []) {
      if (isJsonObject(reference)) todo.push([String(reference.subject), String(reference.version)])
    }
  }
  const config = await get('/config')
  const compatibilityLevel = isJsonObject(config) ? config.compatibilityLevel : undefined
  const sorted = [...versions.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return {
    subjects: sorted.map(([, found]) => found),
    ...(compatibilityLevel === undefined ? {} : { compatibilityLevel }),
  }
}

/** @throws IMPORT_REMOTE · IMPORT_UNREACHABLE for a text that is no URL */
function loopbackUrl(text: string): string {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TreatyError('IMPORT_UNREACHABLE', 'the registry has no URL of http or https', {
      hint: 'Name it as http://127.0.0.1:8081.',
    })
  }
  if (!/^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname)) {
    throw new TreatyError('IMPORT_REMOTE', `${url.host} is not this machine`, {
      hint: 'Save what GET /schemas of the registry answers to a file, and import that.',
    })
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

async function ask(url: string, signal: AbortSignal): Promise<Json> {
  try {
    const response = await fetch(url, {
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)]),
    })
    if (!response.ok) throw new Error(`it answers ${response.status}`)
    return (await response.json()) as Json
  } catch (cause) {
    throw new TreatyError('IMPORT_UNREACHABLE', `${url} cannot be read: ${errorMessage(cause)}`, {
      hint: 'Check the URL, and that the registry runs there.',
      cause,
    })
  }
}

function invalid(path: string): TreatyError {
  return new TreatyError(
    'CONFLUENT_DUMP_INVALID',
    `what the registry answers at ${path} is not understood`,
    {
      hint: 'Check that the URL is that of a Confluent-compatible registry.',
    },
  )
}
