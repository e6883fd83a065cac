import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openRegistry, openSubjects } from '../../src/registry/index.ts'
import { openStore } from '../../src/store/index.ts'

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

test('of ten processes that register a version at the same time, exactly one wins', async () => {
  const file = join(folder, 'registry.db')
  const outcomes = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const { stdout } = await run(process.execPath, [child, file, String(at)])
      return JSON.parse(stdout) as Outcome
    }),
  )
  await using store = Object.assign(await openStore(`sqlite:${file}`), {
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
})
