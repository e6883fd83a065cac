import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openRegistry, openSubjects } from '../../src/registry/index.ts'
import { openStore } from '../../src/store/index.ts'
import { withService } from '../conformance/service-url.ts'

const run = promisify(execFile)
const child = join(import.meta.dirname, 'register-child.ts')
const count = 10

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'treaty-registry-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

interface Outcome {
  readonly won: readonly string[]
  readonly lost: readonly string[]
  readonly ids: readonly number[]
}

async function expectOneWinner(url: string): Promise<void> {
  const outcomes = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const { stdout } = await run(process.execPath, [child, url, String(at)])
      return JSON.parse(stdout) as Outcome
    }),
  )
  await using store = Object.assign(await openStore(url), {
    async [Symbol.asyncDispose]() {
      await store.close()
    },
  })
  const registry = openRegistry(store)
  const versions = await registry.versions('shop.orders')
  const history = await registry.audit({ limit: 100 })

  const wanted = Array.from({ length: 10 }, (_, minor) => `1.${minor}.0`)
  expect(versions.map(({ version }) => version)).toEqual(wanted)
  expect(outcomes.flatMap(({ won }) => won).sort()).toEqual(wanted)
  expect(new Set(outcomes.flatMap(({ lost }) => lost))).toEqual(
    new Set(['CONTRACT_VERSION_EXISTS']),
  )
  expect(outcomes.flatMap(({ lost }) => lost)).toHaveLength(90)
  // What the winner wrote is what is there, and the history says so.
  for (const { version, by } of versions) {
    const contract = await registry.contract('shop.orders', version)
    expect(contract?.purpose).toBe(`Process ${by} says it for ${version}.`)
  }
  expect(history.map(({ position }) => position)).toEqual(wanted.map((_, at) => at + 1))

  const subjects = openSubjects(store)
  const numbers = await subjects.versions('orders-value')
  const registered = await subjects.schemas()
  expect(numbers).toEqual(Array.from({ length: count + 2 }, (_, at) => at + 1))
  expect(registered.map(({ id }) => id).sort((a, b) => a - b)).toEqual(numbers)
  expect(new Set(outcomes.map(({ ids }) => ids[0])).size).toBe(1)
  expect(new Set(outcomes.map(({ ids }) => ids[1])).size).toBe(count)
}

describe('of ten processes that register a version at the same time, exactly one wins', () => {
  test('on SQLite', async () => {
    await expectOneWinner(`sqlite:${join(folder, 'registry.db')}`)
  })
})

await withService('postgres', (url) => {
  test('of ten processes that register a version at the same time, exactly one wins on PostgreSQL', async () => {
    await expectOneWinner(await freshDatabase(url))
  })
})

/** A database of this run's own on the server. */
async function freshDatabase(url: string): Promise<string> {
  const { Client } = (await import('pg')).default
  const client = new Client({ connectionString: url })
  const name = `registry_${process.pid}`
  await client.connect()
  await client.query(`DROP DATABASE IF EXISTS ${name}`)
  await client.query(`CREATE DATABASE ${name}`)
  await client.end()
  return Object.assign(new URL(url), { pathname: `/${name}` }).href
}
