import { describe, expect, it } from 'vitest'
import { openStore } from './open-store.ts'
import { loadPostgresDriver } from './postgres-driver.ts'
import { mapPostgresError, postgresFate } from './postgres-errors.ts'
import { leaseOf } from './postgres-leases.ts'
import { foldName } from './postgres-names.ts'
import { readPostgresUrl } from './postgres-url.ts'

/** An error as the driver gives it. */
function driverError(message: string, code?: string): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code })
}

describe('the URL of a store on PostgreSQL', () => {
  it('is taken apart, and keeps for the driver what is the driver’s', () => {
    const place = readPostgresUrl(
      'postgres://ada:p%40ss@db.example:5433/orders?schema=shop&sslmode=verify-full',
    )

    expect(place).toEqual({
      connection: 'postgres://ada:p%40ss@db.example:5433/orders?sslmode=verify-full',
      schema: 'shop',
      name: 'postgres://db.example:5433/orders (schema shop)',
    })
  })

  it('has the schema treaty where it names none', () => {
    expect(readPostgresUrl('postgresql://localhost/orders').schema).toBe('treaty')
  })

  it('says verify-full for what the driver would warn of and take for it', () => {
    for (const mode of ['require', 'prefer', 'verify-ca']) {
      const { connection } = readPostgresUrl(`postgres://db/orders?sslmode=${mode}`)
      expect(connection).toBe('postgres://db/orders?sslmode=verify-full')
    }
    const libpq = 'postgres://db/orders?sslmode=require&uselibpqcompat=true'
    expect(readPostgresUrl(libpq).connection).toBe(libpq)
  })

  it('names the folder of a socket', () => {
    expect(readPostgresUrl('postgres:///orders?host=/run/postgresql').name).toBe(
      'postgres:///run/postgresql/orders',
    )
  })

  it('is not repeated when it cannot be read, because it may hold a password', async () => {
    for (const url of ['postgres://ada:s3cret@local host/x', 'postgres://ada:s3cret@h:99999/x']) {
      const refusal = await openStore(url).catch((error: unknown) => error)
      expect(refusal).toMatchObject({ code: 'STORE_URL_INVALID' })
      expect(JSON.stringify(refusal) + String(refusal)).not.toContain('s3cret')
    }
  })

  it.each(['', 'pg_catalog', 'a"b', "a'b", 'x'.repeat(64), '1st'])(
    'is refused with the schema %j',
    (schema) => {
      const url = `postgres://h/d?schema=${encodeURIComponent(schema)}`

      expect(() => readPostgresUrl(url)).toThrow(/names no schema/)
    },
  )
})

describe('an error of PostgreSQL', () => {
  it.each([
    ['40P01', 'STORE_BUSY', 'undone'],
    ['40001', 'STORE_BUSY', 'undone'],
    ['53300', 'STORE_BUSY', 'undone'],
    ['53100', 'STORE_FULL', 'refused'],
    ['25006', 'STORE_UNAVAILABLE', 'refused'],
    ['28P01', 'STORE_ACCESS_DENIED', 'refused'],
    ['42501', 'STORE_ACCESS_DENIED', 'refused'],
    ['42P01', 'STORE_OUTDATED', 'refused'],
    ['57P01', 'STORE_UNAVAILABLE', 'undone'],
    ['57P02', 'STORE_UNAVAILABLE', 'lost'],
    ['57P03', 'STORE_UNAVAILABLE', 'lost'],
    ['08006', 'STORE_UNAVAILABLE', 'lost'],
    ['XX001', 'STORE_CORRUPT', 'refused'],
    ['ECONNRESET', 'STORE_UNAVAILABLE', 'lost'],
    ['ENOTFOUND', 'STORE_UNAVAILABLE', 'refused'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'STORE_TLS_FAILED', 'refused'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'STORE_TLS_FAILED', 'refused'],
    ['23505', 'UNFORESEEN', 'refused'],
  ])('%s is %s, and its statement %s', (state, code, fate) => {
    const error = driverError('as PostgreSQL says it', state)

    expect(mapPostgresError(error, 'postgres://h/d').code).toBe(code)
    expect(postgresFate(error)).toBe(fate)
  })

  it.each([
    ['Connection terminated unexpectedly', 'STORE_UNAVAILABLE'],
    ['Query read timeout', 'STORE_UNAVAILABLE'],
    ['timeout exceeded when trying to connect', 'STORE_BUSY'],
    ['The server does not support SSL connections', 'STORE_TLS_FAILED'],
    ['SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string', 'STORE_ACCESS_DENIED'],
  ])('without a code is known by its text: %s', (message, code) => {
    expect(mapPostgresError(driverError(message), 'postgres://h/d').code).toBe(code)
  })

  it('of all addresses of a host is that of the first', () => {
    const refused = driverError('connect ECONNREFUSED ::1:5432', 'ECONNREFUSED')

    expect(mapPostgresError(new AggregateError([refused]), 'postgres://h/d')).toMatchObject({
      code: 'STORE_UNAVAILABLE',
      details: { state: 'ECONNREFUSED' },
    })
  })

  it('tells a lost connection, where nobody knows what became of the write, from a refusal', () => {
    const lost = mapPostgresError(driverError('x', 'ECONNRESET'), 'postgres://h/d')
    const refused = mapPostgresError(driverError('x', 'ECONNREFUSED'), 'postgres://h/d')

    expect(lost.details.outcome).toBe('unknown')
    expect(refused.details.outcome).toBeUndefined()
  })
})

describe('the driver', () => {
  it('that is not installed is named, with the command that installs it', async () => {
    const missing = loadPostgresDriver(async () => {
      throw driverError("Cannot find package 'pg'", 'ERR_MODULE_NOT_FOUND')
    })

    await expect(missing).rejects.toMatchObject({
      code: 'DRIVER_MISSING',
      hint: expect.stringContaining('npm install pg@8'),
    })
  })
})

it('names that would not fit into an index are folded, each to a text of its own', () => {
  const [one, other] = [`${'🙂'.repeat(300)}a`, `${'🙂'.repeat(300)}b`]

  expect(foldName('orders')).toBe('orders')
  expect(Buffer.byteLength(foldName(one))).toBeLessThan(100)
  expect(foldName(one)).not.toBe(foldName(other))
})

it('a lease without end is one that the calendar of PostgreSQL knows', () => {
  expect(leaseOf(Number.MAX_SAFE_INTEGER)).toBe(1e14)
  expect(leaseOf(30_000)).toBe(30_000)
})
