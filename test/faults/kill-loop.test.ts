import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { openBus, systemClock } from '../../src/index.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { accounts, bank, bankTables } from './bank.ts'
import { isFullSoak } from './effort.ts'

const rounds = isFullSoak ? 200 : 20
const program = new URL('./bank-child.ts', import.meta.url)
const children = new Set<ChildProcess>()
const folders: string[] = []

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function forkBank(role: 'ledger' | 'teller', file: string): ChildProcess {
  const child = fork(program, [role, file], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  children.add(child)
  return child
}

/** A process that is there; a killed one is replaced by its like. */
async function start(role: 'ledger' | 'teller', file: string, confirmed: Set<string>) {
  const child = forkBank(role, file)
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) =>
      reject(new Error(`the ${role} ended with ${code} before it was ready`)),
    )
    child.on('message', (message: { kind: string; id?: string }) => {
      if (message.kind === 'ready') resolve()
      if (message.id !== undefined) confirmed.add(message.id)
    })
  })
  child.removeAllListeners('exit')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await gone
  children.delete(child)
}

function openFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-kill-'))
  folders.push(folder)
  return join(folder, 'bank.db')
}

describe('kill -9 at random moments under load', () => {
  it(`loses no confirmed message and runs no effect twice (${rounds} rounds)`, async () => {
    const seed = Date.now() % 1_000_000
    const random = seededRandom(seed)
    const file = openFile()
    const keeper = await openBus({ contracts: [bank], transport: `sqlite:${file}`, leaseMs: 2000 })
    const database = new DatabaseSync(file, { timeout: 10_000 })
    database.exec(bankTables)
    for (const name of accounts) database.prepare('INSERT INTO account VALUES (?, 1000)').run(name)
    const confirmed = new Set<string>()
    const roles = ['ledger', 'ledger', 'teller'] as const
    const cast = await Promise.all(roles.map((role) => start(role, file, confirmed)))

    for (let round = 0; round < rounds; round += 1) {
      await sleep(20 + random() * 250)
      const at = Math.floor(random() * roles.length)
      // Now and then all of them at once, as when a machine goes down.
      const victims = random() < 0.2 ? [0, 1, 2] : [at]
      await Promise.all(victims.map((victim) => kill(cast[victim] as ChildProcess)))
      if (random() < 0.2) {
        // One that dies while it opens the file.
        const stillborn = forkBank('ledger', file)
        await sleep(100 + random() * 400)
        await kill(stillborn)
      }
      for (const victim of victims) {
        cast[victim] = await start(roles[victim] as 'ledger', file, confirmed)
      }
    }
    await kill(cast[2] as ChildProcess)
    const deadline = systemClock.monotonic() + 60_000
    let stats = await keeper.stats()
    while (stats.waiting > 0 && systemClock.monotonic() < deadline) {
      await sleep(100)
      stats = await keeper.stats()
    }

    const entries = database
      .prepare('SELECT message_id AS id, count(*) AS times FROM entry GROUP BY 1')
      .all()
    const times = new Map(entries.map((row) => [String(row.id), Number(row.times)]))
    const missing = [...confirmed].filter((id) => !times.has(id))
    const twice = [...times].filter(([, count]) => count > 1)
    const sum = database.prepare('SELECT sum(balance) AS sum FROM account').get()
    const note = `seed ${seed}, ${confirmed.size} confirmed, ${times.size} booked`
    console.log(`kill loop of ${rounds} rounds: ${note}`)
    expect(confirmed.size, note).toBeGreaterThan(rounds * 5)
    expect(missing, note).toEqual([])
    expect(twice, note).toEqual([])
    expect(sum?.sum, note).toBe(accounts.length * 1000)
    expect(balancesByEntries(database), note).toEqual([])
    expect(stats, note).toMatchObject({ waiting: 0, dead: 0, handled: stats.published })
    expect(stats.published, note).toBe(times.size)
    await keeper.close({ drainMs: 0 })
    database.close()
  })
})

/** Accounts whose balance is not what their entries add up to. */
function balancesByEntries(database: DatabaseSync): unknown[] {
  return database
    .prepare(
      `SELECT name, balance FROM account WHERE balance <> 1000
         + (SELECT coalesce(sum(amount), 0) FROM entry WHERE target = name)
         - (SELECT coalesce(sum(amount), 0) FROM entry WHERE source = name)`,
    )
    .all()
}
