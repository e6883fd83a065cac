import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Json } from '../core/json.ts'
import { describeStore, type StoreUnderTest } from '../testing/describe-store.ts'
import { fakeClock } from '../testing/fake-clock.ts'
import { afterPrefix } from './keys.ts'
import { openStore } from './open-store.ts'
import { openSqliteStore } from './sqlite.ts'
import { openSqliteFile } from './sqlite-file.ts'
import type { Store } from './store.ts'

async function storeInFile(): Promise<StoreUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-'))
  const file = join(folder, 'store.db')
  const clock = fakeClock()
  return {
    connect: () => openSqliteStore(file, { clock }),
    passTime: (ms) => clock.advance(ms),
    openBackup: (backup) => openSqliteStore(backup, { clock }),
    async makeNewer() {
      const db = new DatabaseSync(file)
      db.exec("INSERT INTO treaty_migrations VALUES ('store', 99, 0)")
      db.close()
    },
    dispose: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

const numbers = (function* () {
  for (let n = 0; ; n += 1) yield n
})()

async function storeInMemory(): Promise<StoreUnderTest> {
  const name = `memory:test-${numbers.next().value}`
  const clock = fakeClock()
  return {
    connect: () => openSqliteStore(name, { clock }),
    passTime: (ms) => clock.advance(ms),
    openBackup: (backup) => openSqliteStore(backup, { clock }),
  }
}

await describeStore('sqlite', storeInFile, { parts: 'unit' })
await describeStore('memory, shared by name', storeInMemory, { parts: 'unit' })

describe('laws', () => {
  const withStore = async (work: (store: Store) => Promise<void>) => {
    const store = await openStore('memory:')
    await work(store)
    await store.close()
  }

  it('positions of a stream are gapless whatever is appended, and refused appends leave no trace', async () => {
    const appendArbitrary = fc.record({
      stream: fc.constantFrom('a', 'b'),
      values: fc.array(fc.jsonValue(), { maxLength: 5 }),
      expect: fc.option(fc.nat(12), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(appendArbitrary, { maxLength: 20 }), (appends) =>
        withStore(async ({ log }) => {
          const model: Record<string, Json[]> = { a: [], b: [] }
          for (const { stream, values, expect: length } of appends) {
            const kept = model[stream] as Json[]
            const options = length === undefined ? {} : { expect: length }
            const position = await log.append(stream, values as Json[], options)
            const isRefused = length !== undefined && length !== kept.length
            expect(position).toBe(isRefused ? undefined : kept.length + 1)
            if (!isRefused) kept.push(...(JSON.parse(JSON.stringify(values)) as Json[]))
          }
          for (const [stream, kept] of Object.entries(model)) {
            const entries = await log.read(stream, { limit: 1000 })
            expect(entries.map((entry) => entry.value)).toEqual(kept)
            expect(entries.map((entry) => entry.position)).toEqual(kept.map((_, n) => n + 1))
          }
        }),
      ),
      { numRuns: 60 },
    )
  })

  it('revisions grow by one with each write and begin at one, as a map with counters would', async () => {
    const stepArbitrary = fc.record({
      kind: fc.constantFrom('put', 'put', 'delete'),
      key: fc.constantFrom('x', 'y'),
      expect: fc.option(fc.nat(4), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(stepArbitrary, { maxLength: 30 }), (steps) =>
        withStore(async ({ records }) => {
          const model = new Map<string, number>()
          for (const [index, { kind, key, expect: revision }] of steps.entries()) {
            const present = model.get(key) ?? 0
            const options = revision === undefined ? {} : { expect: revision }
            const isRefused = revision !== undefined && revision !== present
            if (kind === 'put') {
              const record = await records.put('c', key, index, options)
              expect(record?.revision).toBe(isRefused ? undefined : present + 1)
              if (!isRefused) model.set(key, present + 1)
            } else {
              expect(await records.delete('c', key, options)).toBe(!isRefused && present > 0)
              if (!isRefused) model.delete(key)
            }
            expect((await records.get('c', key))?.revision ?? 0).toBe(model.get(key) ?? 0)
          }
        }),
      ),
      { numRuns: 60 },
    )
  })

  it('a list by prefix holds exactly the keys that begin with it, in code point order', async () => {
    const keyArbitrary = fc.string({ unit: 'binary', minLength: 1, maxLength: 3 })
    const near = fc.string({
      unit: fc.constantFrom('a', 'b', '\ud7ff', '\ue000', '\uffff', '\u{10ffff}', '\u{10000}'),
      minLength: 1,
      maxLength: 3,
    })
    const key = fc.oneof(keyArbitrary, near).filter((text) => !text.includes('\0'))
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(key, { maxLength: 12 }), fc.oneof(key, near), (keys, text) =>
        withStore(async ({ records, counters }) => {
          const prefix = [...text].slice(0, 1).join('')
          for (const each of keys) await records.put('c', each, true)
          await counters.add(Object.fromEntries(keys.map((each) => [each, 1])))
          const expected = keys.filter((each) => each.startsWith(prefix)).toSorted(byCodePoint)
          const listed = await records.list('c', { prefix, limit: 100 })
          expect(listed.map((record) => record.key)).toEqual(expected)
          expect(Object.keys(await counters.read(prefix)).toSorted(byCodePoint)).toEqual(expected)
        }),
      ),
      { numRuns: 100 },
    )
  })

  it('nothing follows the greatest prefix', () => {
    expect(afterPrefix('')).toBeUndefined()
    expect(afterPrefix('\u{10ffff}')).toBeUndefined()
    expect(afterPrefix('a\u{10ffff}')).toBe('b')
    expect(afterPrefix('\ud7ff')).toBe('\ue000')
  })
})

function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

describe('openStore', () => {
  it('opens sqlite: URLs, plain paths and file: URLs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'treaty-'))
    const file = join(folder, 'a folder that is not there yet', 'store.db')
    for (const url of [`sqlite:${file}`, `sqlite://${file}`, file, `file://${encodeURI(file)}`]) {
      const store = await openStore(url)
      expect(store.kind).toBe('sqlite')
      await store.counters.add({ opened: 1 })
      await store.close()
    }
    const store = await openStore(file)
    expect(await store.counters.read('')).toEqual({ opened: 4 })
    await store.close()
    rmSync(folder, { recursive: true })
  })

  it('says that PostgreSQL follows, and repeats no password', async () => {
    for (const url of ['postgres://app:hunter2@db/app', 'mysql://app:hunter2@db/app', 'sqlite:']) {
      const opening = openStore(url)
      await expect(opening).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
      await opening.catch((error: Error) =>
        expect(JSON.stringify(error) + error.message).not.toContain('hunter2'),
      )
    }
  })

  it('leaves a file open that was open before', async () => {
    const file = openSqliteFile(':memory:')
    const store = await openSqliteStore(file)
    await store.records.put('c', 'k', 1)
    await store.close()
    expect(file.db.isOpen).toBe(true)
    expect(file.prepare('SELECT count(*) AS n FROM store_records').get()?.n).toBe(1)
    file.close()
  })
})
