import { errorMessage, TreatyError } from '../../core/errors.ts'
import type { Json } from '../../core/json.ts'
import { redactUrl } from '../../core/secret.ts'

export interface SchemaRegistryOptions {
  /** Address of the registry: ours (`http://127.0.0.1:4400/confluent`), or any that speaks Confluent's protocol. */
  readonly url: string
  readonly auth?: { readonly user: string; readonly password: string } | { readonly token: string }
  /** Milliseconds for one call. Default 10 000. */
  readonly timeoutMs?: number
  /** Default: the global `fetch`. */
  readonly fetch?: typeof fetch
}

/** The ids of schemas, asked for once each: an id never changes its meaning. */
export interface SchemaIds {
  /** The id of a schema under a subject. @throws SCHEMA_REGISTRY_FAILED, SCHEMA_REFUSED */
  idOf(subject: string, schema: Json, how: { readonly register: boolean }): Promise<number>
  /** Subjects under which a schema is known; undefined: the id is unknown. @throws SCHEMA_REGISTRY_FAILED */
  subjectsOf(id: number): Promise<readonly string[] | undefined>
}

interface Answer {
  readonly status: number
  readonly body: Json
}

export function createSchemaIds(options: SchemaRegistryOptions): SchemaIds {
  const ids = new Map<string, Promise<number>>()
  const subjects = new Map<number, Promise<readonly string[] | undefined>>()

  async function askId(subject: string, schema: Json, register: boolean): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}${register ? '/versions' : ''}`
    const body = { schemaType: 'JSON', schema: JSON.stringify(schema) }
    const answer = await call(options, path, body)
    const id = (answer.body as { id?: unknown } | null)?.id
    if (answer.status === 200 && typeof id === 'number') return id
    throw refused(subject, answer)
  }

  async function askSubjects(id: number): Promise<readonly string[] | undefined> {
    const { status, body } = await call(options, `/schemas/ids/${id}/versions`)
    if (status === 404) return undefined
    if (status !== 200 || !Array.isArray(body)) throw failed(options, `it answered ${status}`)
    return body.map((each) => String((each as { subject?: unknown }).subject))
  }

  return {
    idOf(subject, schema, { register }) {
      const name = `${subject}\n${JSON.stringify(schema)}`
      return remember(ids, name, () => askId(subject, schema, register))
    },
    subjectsOf: (id) => remember(subjects, id, () => askSubjects(id)),
  }
}

/** One call for each name at a time; what failed, and what was not there, is asked for again. */
function remember<Name, Value>(
  known: Map<Name, Promise<Value>>,
  name: Name,
  ask: () => Promise<Value>,
): Promise<Value> {
  const before = known.get(name)
  if (before !== undefined) return before
  const asked = ask()
  known.set(name, asked)
  const forget = () => void known.delete(name)
  asked.then((value) => value === undefined && forget(), forget)
  return asked
}

async function call(options: SchemaRegistryOptions, path: string, body?: Json): Promise<Answer> {
  const { url, auth, timeoutMs = 10_000, fetch: ask = fetch } = options
  try {
    const response = await ask(`${url.replace(/\/$/, '')}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/vnd.schemaregistry.v1+json',
        'content-type': 'application/vnd.schemaregistry.v1+json',
        ...authorization(auth),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (response.status >= 500) throw new Error(`it answered ${response.status}`)
    return { status: response.status, body: (await response.json()) as Json }
  } catch (error) {
    throw failed(options, errorMessage(error), error)
  }
}

function authorization(auth: SchemaRegistryOptions['auth']): Record<string, string> {
  if (auth === undefined) return {}
  if ('token' in auth) return { authorization: `Bearer ${auth.token}` }
  const pair = Buffer.from(`${auth.user}:${auth.password}`).toString('base64')
  return { authorization: `Basic ${pair}` }
}

function failed({ url }: SchemaRegistryOptions, why: string, cause?: unknown): TreatyError {
  return new TreatyError(
    'SCHEMA_REGISTRY_FAILED',
    `the schema registry at ${redactUrl(url)} gave no answer that can be used: ${why}`,
    {
      hint: 'Check its address and credentials; messages wait until it answers.',
      ...(cause === undefined ? {} : { cause }),
    },
  )
}

function refused(subject: string, { status, body }: Answer): TreatyError {
  const { error_code: code, message } = (body ?? {}) as { error_code?: Json; message?: Json }
  return new TreatyError(
    'SCHEMA_REFUSED',
    `the schema registry does not take the schema for subject "${subject}": ${message ?? status}`,
    {
      hint: 'Mend the incompatibility, or register the schema where `register` is false.',
      details: { subject, status, ...(code === undefined ? {} : { code }) },
    },
  )
}
