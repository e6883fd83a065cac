import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fakeClock } from '../testing/fake-clock.ts'
import { mapSqliteError, withBusyRetry } from './sqlite-errors.ts'
import { openSqliteFile, type SqliteFile } from './sqlite-file.ts'

const notes = {
  component: 'notes',
  migrations: ['CREATE TABLE notes (text TEXT NOT NULL) STRICT'],
}

let folder: string
let opened: SqliteFile[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'treaty-'))
  opened = []
})
afterEach(() => {
  for (const file of opened) file.close()
  rmSync(folder, { recursive: true, force: true })
})

function open(name = 'a.db', options: Parameters<typeof openSqliteFile>[1] = {}): SqliteFile {
  const path = name.startsWith('memory:') || name === ':memory:' ? name : join(folder, name)
  const file = openSqliteFile(path, { migrations: [notes], openWaitMs: 100, ...options })
  opened.push(file)
  return file
}

function note(file: SqliteFile, text: string): void {
  file.transaction(() => file.prepare('INSERT INTO notes VALUES (?)').run(text))
}
function count(file: SqliteFile): number {
  return Number(file.prepare('SELECT count(*) AS n FROM notes').get()?.n)
}
function pragma(file: SqliteFile, name: string): unknown {
  return Object.values(file.db.prepare(`PRAGMA ${name}`).get() ?? {})[0]
}
/** Two turns of the microtask queue: what `notifyLocal` says has then been heard. */
async function settled(): Promise<void> {
  await Promise.resolve()
  await Promise.resolve()
}

describe('opening', () => {
  it('creates the file and its folders, with a write-ahead log that is synced', () => {
    const file = open('some/where/a.db')
    expect(existsSync(join(folder, 'some/where/a.db'))).toBe(true)
    expect(pragma(file, 'journal_mode')).toBe('wal')
    expect(pragma(file, 'synchronous')).toBe(2)
    expect(pragma(file, 'auto_vacuum')).toBe(2)
    expect(pragma(file, 'foreign_keys')).toBe(1)
    expect(pragma(file, 'busy_timeout')).toBe(250)
    expect(pragma(file, 'wal_autocheckpoint')).toBe(4000)
    expect(pragma(file, 'application_id')).toBe(0x54525459)
  })

  it('syncs less where durability is normal', () => {
    expect(pragma(open('a.db', { durability: 'normal' }), 'synchronous')).toBe(1)
  })

  it('keeps the settings and the data of a file of somebody else', () => {
    const db = new DatabaseSync(join(folder, 'app.db'))
    db.exec('PRAGMA application_id = 42; CREATE TABLE mine (x); INSERT INTO mine VALUES (1)')
    db.close()
    const file = open('app.db')
    expect(pragma(file, 'application_id')).toBe(42)
    expect(file.prepare('SELECT x FROM mine').get()).toEqual({ x: 1 })
    note(file, 'beside it')
  })

  it('treats an empty file as new', () => {
    writeFileSync(join(folder, 'a.db'), '')
    note(open(), 'x')
  })

  it('takes the path as it is, also one that looks like a URI', () => {
    for (const name of ['file:a.db', 'a b?mode=ro#x.db', '%41.db']) {
      note(open(name), 'x')
      expect(existsSync(join(folder, name))).toBe(true)
    }
  })
})

describe('migrations', () => {
  it('run once each, in order, and are recorded with their time', () => {
    const clock = fakeClock(1000)
    open('a.db', { clock }).close()
    const added = {
      ...notes,
      migrations: [...notes.migrations, 'ALTER TABLE notes ADD at INTEGER'],
    }
    const file = open('a.db', { clock: fakeClock(2000), migrations: [added] })
    expect(file.prepare('SELECT * FROM treaty_migrations').all()).toEqual([
      { component: 'notes', version: 1, applied_at: 1000 },
      { component: 'notes', version: 2, applied_at: 2000 },
    ])
  })

  it('leave nothing behind when one of them fails', () => {
    const broken = { component: 'broken', migrations: ['CREATE TABLE b (x)', 'CREATE TABEL c (x)'] }
    expect(() => open('a.db', { migrations: [broken] })).toThrow(/syntax/)
    const file = open()
    expect(file.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'b'").get()).toBeUndefined()
  })

  it('of several components do not disturb each other', () => {
    open().close()
    const other = {
      component: 'other',
      migrations: [(db: DatabaseSync) => db.exec('CREATE TABLE o (x)')],
    }
    open('a.db', { migrations: [other] })
    note(open('a.db', { migrations: [notes, other] }), 'x')
  })

  it('refuse a component from a newer Treaty, and change nothing', () => {
    const newer = { ...notes, migrations: [...notes.migrations, 'CREATE TABLE n (x)'] }
    open('a.db', { migrations: [newer] }).close()
    const other = { component: 'other', migrations: ['CREATE TABLE o (x)'] }
    expect(() => open('a.db', { migrations: [other, notes] })).toThrow(
      expect.objectContaining({
        code: 'STORE_TOO_NEW',
        message: expect.stringMatching(
          /newer Treaty: its notes version is 2, and this Treaty knows 1$/,
        ),
      }),
    )
    const db = new DatabaseSync(join(folder, 'a.db'))
    expect(db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'o'").get()).toBeUndefined()
    db.close()
  })

  it('refuse a whole file from a newer Treaty', () => {
    open().close()
    const db = new DatabaseSync(join(folder, 'a.db'))
    db.exec('PRAGMA user_version = 7')
    db.close()
    expect(() => open()).toThrow(/file version is 7, and this Treaty knows 1/)
  })
})

describe('bad files', () => {
  const code = (value: string) => expect.objectContaining({ code: value })

  it('refuses a file that is not a database, and leaves it as it was', () => {
    const path = join(folder, 'a.db')
    const text = 'Dear diary, '.repeat(1000)
    writeFileSync(path, text)
    expect(() => open()).toThrow(code('STORE_CORRUPT'))
    expect(readFileSync(path, 'utf8')).toBe(text)
  })

  it('refuses a file that was cut off', () => {
    const file = open()
    for (let n = 0; n < 50; n += 1) note(file, 'x'.repeat(1000))
    file.close()
    truncateSync(join(folder, 'a.db'), 10_000)
    expect(() => open()).toThrow(code('STORE_CORRUPT'))
  })

  it('reports damaged pages when they are met', () => {
    const file = open()
    for (let n = 0; n < 50; n += 1) note(file, 'x'.repeat(1000))
    file.close()
    const path = join(folder, 'a.db')
    const bytes = readFileSync(path)
    bytes.fill(0xff, 4096 * 4)
    writeFileSync(path, bytes)
    const damaged = open()
    expect(() =>
      damaged.transaction(() => damaged.prepare('SELECT text FROM notes').all()),
    ).toThrow(code('STORE_CORRUPT'))
  })

  it('refuses a folder, and a path below a file', () => {
    mkdirSync(join(folder, 'a.db'))
    expect(() => open()).toThrow(code('STORE_UNAVAILABLE'))
    writeFileSync(join(folder, 'file'), '')
    expect(() => open('file/a.db')).toThrow(code('STORE_UNAVAILABLE'))
  })

  it('says that a locked file is locked, and writes again afterwards', () => {
    const file = open()
    const rival = open()
    rival.db.exec('BEGIN IMMEDIATE')
    expect(() => note(file, 'x')).toThrow(code('STORE_BUSY'))
    rival.db.exec('COMMIT')
    note(file, 'x')
    expect(count(file)).toBe(1)
  })

  it('says that a file is locked while opening it', () => {
    const rival = new DatabaseSync(join(folder, 'a.db'))
    rival.exec('BEGIN EXCLUSIVE')
    expect(() => open()).toThrow(code('STORE_BUSY'))
    rival.exec('COMMIT')
    rival.close()
    note(open(), 'x')
  })

  it('makes its tables although another process writes to the file for longer than a statement waits', async () => {
    const rival = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads')
       const { DatabaseSync } = require('node:sqlite')
       const db = new DatabaseSync(workerData)
       db.exec('PRAGMA journal_mode = WAL; CREATE TABLE other (a); BEGIN IMMEDIATE; INSERT INTO other VALUES (1)')
       parentPort.postMessage('locked')
       Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
       db.exec('COMMIT')`,
      { eval: true, workerData: join(folder, 'a.db') },
    )
    await once(rival, 'message')
    const file = open('a.db', { openWaitMs: 5000 })
    note(file, 'x')
    expect(count(file)).toBe(1)
    expect(pragma(file, 'busy_timeout')).toBe(250)
    await rival.terminate()
  })

  it('says that the disk is full, keeps what was acknowledged, and goes on when there is room', () => {
    const file = open()
    note(file, 'kept')
    file.db.exec('PRAGMA max_page_count = 20')
    const filling = () =>
      file.transaction(() => {
        for (let n = 0; n < 100; n += 1)
          file.prepare('INSERT INTO notes VALUES (?)').run('x'.repeat(1000))
      })
    expect(filling).toThrow(code('STORE_FULL'))
    expect(file.db.isTransaction).toBe(false)
    expect(count(file)).toBe(1)
    file.db.exec('PRAGMA max_page_count = 2000')
    filling()
    expect(count(file)).toBe(101)
  })

  it('says that a database may only be read', () => {
    const file = open()
    file.db.exec('PRAGMA query_only = 1')
    expect(() => note(file, 'x')).toThrow(code('STORE_UNAVAILABLE'))
  })

  it('passes errors that are not about the file through unchanged', () => {
    const file = open()
    const problem = new Error('mine')
    expect(() =>
      file.transaction(() => {
        throw problem
      }),
    ).toThrow(problem)
    expect(() =>
      file.transaction(() => file.prepare('INSERT INTO notes VALUES (NULL)').run()),
    ).toThrow(expect.objectContaining({ code: 'ERR_SQLITE_ERROR' }))
    expect(mapSqliteError('thrown text').code).toBe('UNFORESEEN')
  })
})

describe('transactions', () => {
  it('commit together or not at all', () => {
    const file = open()
    expect(() =>
      file.transaction(() => {
        note(file, 'x')
        throw new Error('no')
      }),
    ).toThrow('no')
    expect(count(file)).toBe(0)
  })

  it('inside a transaction undo only their own part', () => {
    const file = open()
    file.transaction(() => {
      note(file, 'kept')
      expect(() =>
        file.transaction(() => {
          note(file, 'undone')
          throw new Error('no')
        }),
      ).toThrow('no')
      note(file, 'kept too')
    })
    expect(count(file)).toBe(2)
  })

  it('commit nothing at all when SQLite rolled back the whole because of a part', () => {
    const file = open()
    const work = () => {
      note(file, 'before')
      expect(() =>
        file.transaction(() => {
          // As it does by itself when the disk is full in the middle of a large write.
          file.db.exec('ROLLBACK')
          throw new Error('the disk was full')
        }),
      ).toThrow('the disk was full')
      note(file, 'after')
    }
    expect(() => file.transaction(work)).toThrow('the disk was full')
    expect(count(file)).toBe(0)
    note(file, 'a new one works')
    expect(count(file)).toBe(1)
  })

  it('refuse work that is not synchronous', () => {
    const file = open()
    expect(() => file.transaction(async () => note(file, 'x'))).toThrow(/promise/)
    expect(count(file)).toBe(0)
  })

  it('are tried again while another holds the lock, for as long as they may wait', async () => {
    const clock = fakeClock()
    const [file, rival] = [open(), open()]
    file.db.exec('PRAGMA busy_timeout = 0')
    rival.db.exec('BEGIN IMMEDIATE')
    const done = withBusyRetry(() => note(file, 'x'), { clock, random: () => 0.5 })
    await clock.advance(100)
    rival.db.exec('COMMIT')
    await clock.advance(100)
    await done
    rival.db.exec('BEGIN IMMEDIATE')
    const refused = withBusyRetry(() => note(file, 'x'), { clock, random: () => 0.5, waitMs: 1000 })
    const seen = expect(refused).rejects.toMatchObject({ code: 'STORE_BUSY' })
    await clock.advance(1100)
    await seen
    rival.db.exec('ROLLBACK')
    expect(count(file)).toBe(1)
  })
})

describe('changes', () => {
  it('by another connection are seen, own ones are not', () => {
    const [file, rival] = [open(), open()]
    expect(file.changed()).toBe(false)
    note(file, 'mine')
    expect(file.changed()).toBe(false)
    note(rival, 'theirs')
    expect(file.changed()).toBe(true)
    expect(file.changed()).toBe(false)
  })

  it('wake a listener within 25 ms of the clock even where the file system says nothing', async () => {
    const clock = fakeClock()
    const file = open('a.db', { clock })
    const rival = open()
    let heard = 0
    const stop = file.onChange(() => {
      heard += 1
    })
    note(rival, 'x')
    await clock.advance(25)
    expect(heard).toBe(1)
    await clock.advance(100)
    expect(heard).toBe(1)
    stop()
    stop()
    note(rival, 'x')
    await clock.advance(100)
    expect(heard).toBe(1)
    expect(clock.pending()).toBe(0)
  })

  it('wake a listener through the file system, without the poll', async () => {
    const file = open('a.db', { clock: fakeClock() })
    const rival = open()
    const heard = new Promise<void>((resolve) => file.onChange(resolve))
    note(rival, 'x')
    await heard
  })

  it('are told to the other instances in the process, once for several', async () => {
    for (const name of ['a.db', 'memory:shared']) {
      const [file, rival, stranger] = [open(name), open(name), open(':memory:')]
      const heard: string[] = []
      file.onChange(() => heard.push('file'))
      rival.onChange(() => heard.push('rival'))
      stranger.onChange(() => heard.push('stranger'))
      file.notifyLocal()
      file.notifyLocal()
      await settled()
      expect(heard.filter((each) => each !== 'file')).toEqual(['rival'])
    }
  })

  it('do not reach an instance that has been closed', async () => {
    const [file, rival] = [open(), open()]
    rival.onChange(() => expect.unreachable())
    rival.close()
    note(file, 'x')
    file.notifyLocal()
    await settled()
  })
})

describe('memory', () => {
  it('is shared by name until the last instance closes, and private without a name', () => {
    const [first, second] = [open('memory:a'), open('memory:a')]
    note(first, 'x')
    expect(second.db).toBe(first.db)
    first.close()
    first.close()
    expect(count(second)).toBe(1)
    second.close()
    expect(count(open('memory:a'))).toBe(0)
    note(open(':memory:'), 'x')
    expect(count(open(':memory:'))).toBe(0)
  })
})

describe('backup', () => {
  it('refuses to overwrite the store itself', async () => {
    const file = open()
    note(file, 'x')
    await expect(file.backup(file.path)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(count(file)).toBe(1)
  })

  it('of memory does not fail as "not an error" when the same connection writes beside it', async () => {
    const file = open('memory:busy')
    for (let n = 0; n < 200; n += 1) note(file, 'x'.repeat(1000))
    for (let round = 0; round < 20; round += 1) {
      const copying = file.backup(join(folder, 'copy.db'))
      for (let n = 0; n < 20; n += 1) note(file, 'x'.repeat(1000))
      await copying
    }
    expect(count(open('copy.db'))).toBeGreaterThanOrEqual(200)
  })

  it('of memory is a file', async () => {
    const file = open('memory:b')
    note(file, 'x')
    await file.backup(join(folder, 'copy.db'))
    expect(count(open('copy.db'))).toBe(1)
  })
})

it('a statement is prepared once, and an endless variety of them does not fill the memory', () => {
  const file = open()
  expect(file.prepare('SELECT 1')).toBe(file.prepare('SELECT 1'))
  for (let n = 0; n < 1200; n += 1) file.prepare(`SELECT ${n}`)
  expect(file.prepare('SELECT 7').get()).toEqual({ 7: 7 })
})
