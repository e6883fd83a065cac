import { TreatyError } from '../core/errors.ts'

/** What a `postgres://` URL says, apart. */
export interface PostgresPlace {
  /** For the driver: the URL without the parameters that are ours. May hold a password. */
  readonly connection: string
  /** Schema of Treaty's tables, from the parameter `schema`. Default `treaty`. */
  readonly schema: string
  /** Host, port, database and schema for people; never user or password. */
  readonly name: string
}

/** PostgreSQL cuts longer names off without a word; quotes of all kinds would have to be escaped in functions. */
const schemaPattern = /^[a-z_][a-z0-9_-]{0,62}$/i

/** True for `postgres://` and `postgresql://`. */
export function isPostgresUrl(url: string): boolean {
  return /^postgres(ql)?:\/\//i.test(url)
}

/**
 * Reads `postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=NAME&sslmode=verify-full`. Everything but `schema`
 * is the driver's.
 *
 * @throws STORE_URL_INVALID, never repeating the URL, which may hold a password
 */
export function readPostgresUrl(text: string): PostgresPlace {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !isPostgresUrl(text)) {
    throw new TreatyError('STORE_URL_INVALID', 'the URL of the PostgreSQL store cannot be read', {
      hint: 'Write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters percent-encoded.',
    })
  }
  const schema = url.searchParams.get('schema') ?? 'treaty'
  checkSchema(schema)
  url.searchParams.delete('schema')
  // The driver takes these for verify-full already, and says so in a warning of six lines at each start.
  const isLoose = /^(prefer|require|verify-ca)$/i.test(url.searchParams.get('sslmode') ?? '')
  if (isLoose && !url.searchParams.has('uselibpqcompat')) {
    url.searchParams.set('sslmode', 'verify-full')
  }
  const host = url.host || (url.searchParams.get('host') ?? 'localhost')
  const suffix = schema === 'treaty' ? '' : ` (schema ${schema})`
  return {
    connection: url.href,
    schema,
    name: `postgres://${host}${url.pathname}${suffix}`,
  }
}

function checkSchema(schema: string): void {
  if (schemaPattern.test(schema) && !/^pg_/i.test(schema)) return
  throw new TreatyError('STORE_URL_INVALID', 'the parameter schema of the URL names no schema', {
    hint: 'Use 1 to 63 letters, digits, _ and -, a letter first, and not pg_.',
  })
}
