import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { putAside, storeFile } from './store-file.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'treaty-store-file-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test.each([
  ['sqlite:./treaty.db', './treaty.db'],
  ['sqlite:///var/treaty.db', '/var/treaty.db'],
  ['sqlite:/var/treaty.db', '/var/treaty.db'],
  ['treaty.db', 'treaty.db'],
  ['memory:', undefined],
  ['kafka://broker', undefined],
  ['sqlite::memory:', undefined],
])('%s is kept in %s', (url, file) => {
  expect(storeFile(url)).toBe(file)
})

test('a database is put aside with the files beside it, in place of an older one', () => {
  const file = join(folder, 'a.db')
  for (const name of ['', '-wal']) writeFileSync(`${file}${name}`, `new${name}`)
  for (const name of ['', '-wal', '-shm']) writeFileSync(`${file}.old${name}`, 'older')
  expect(putAside(file)).toBe('a.db was put aside as a.db.old')
  expect(existsSync(file)).toBe(false)
  expect(readFileSync(`${file}.old`, 'utf8')).toBe('new')
  expect(readFileSync(`${file}.old-wal`, 'utf8')).toBe('new-wal')
  expect(existsSync(`${file}.old-shm`)).toBe(false)
  expect(putAside(file)).toBeUndefined()
})
