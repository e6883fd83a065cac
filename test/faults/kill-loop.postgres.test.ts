import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { openBus, systemClock } from '../../src/index.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { freshSchema, onPostgres } from '../conformance/postgres-place.ts'
import { withService } from '../conformance/service-url.ts'
import { accounts, bank } from './bank.ts'
import { isFullSoak } from './effort.ts'

const rounds = isFullSoak ? 100 : 12
const program = new URL('./bank-postgres-child.ts', import.meta.url)
const children = new Set<ChildProcess>()
const roles = ['ledger', 'ledger', 'teller'] as const

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
})

/** A process that is there; a killed one is replaced by its like. */
async function start(
  role: 'ledger' | 'teller',
  place: { url: string; schema: string },
  confirmed: Set<string>,
): Promise<ChildProcess> {
  const child = fork(program, [role, place.url, place.schema], {
    execArgv: [],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  children.add(child)
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the ${role} ended with ${code} at its start`)))
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

await withService('postgres', (server) => {
  describe('kill -9 of processes on PostgreSQL', () => {
    it(`loses no confirmed message and runs no effect twice (${rounds} rounds)`, async () => {
      const seed = Date.now() % 1_000_000
      const random = seededRandom(seed)
      const place = freshSchema(server)
      const { schema } = place
      const keeper = await openBus({ contracts: [bank], transport: place.url, leaseMs: 2000 })
      await keeper.stats()
      await onPostgres(server, async (client) => {
        // No column of an entry is unique: an effect that ran twice leaves two rows.
        await client.query(`
          CREATE TABLE ${schema}.account (name text PRIMARY KEY, balance integer NOT NULL);
          CREATE TABLE ${schema}.entry (message_id text, source text, target text, amount integer, number integer)`)
        await client.query(
          `INSERT INTO ${schema}.account SELECT name, 1000 FROM unnest($1::text[]) AS name`,
          [accounts],
        )
      })
      const confirmed = new Set<string>()
      const cast = await Promise.all(roles.map((role) => start(role, place, confirmed)))
      for (let round = 0; round < rounds; round += 1) {
        await sleep(50 + random() * 400)
        // Now and then all of them at once, as when a machine goes down.
        const victims = random() < 0.2 ? [0, 1, 2] : [Math.floor(random() * roles.length)]
        await Promise.all(victims.map((victim) => kill(cast[victim] as ChildProcess)))
        for (const victim of victims) {
          cast[victim] = await start(roles[victim] as 'ledger', place, confirmed)
        }
      }
      await kill(cast[2] as ChildProcess)
      const deadline = systemClock.monotonic() + 120_000
      let stats = await keeper.stats()
      while (stats.waiting > 0 && systemClock.monotonic() < deadline) {
        await sleep(100)
        stats = await keeper.stats()
      }

      const note = `seed ${seed}, ${confirmed.size} confirmed, ${stats.handled} handled`
      const rows = await onPostgres(server, async (client) => ({
        times: (
          await client.query(
            `SELECT message_id AS id, count(*)::int AS times FROM ${schema}.entry GROUP BY 1`,
          )
        ).rows as { id: string; times: number }[],
        sum: (await client.query(`SELECT sum(balance)::int AS sum FROM ${schema}.account`)).rows[0]
          ?.sum,
      }))
      const booked = new Set(rows.times.map(({ id }) => id))
      console.log(`kill loop of ${rounds} rounds on PostgreSQL: ${note}`)
      expect(stats, note).toMatchObject({ waiting: 0, dead: 0, handled: stats.published })
      expect(
        [...confirmed].filter((id) => !booked.has(id)),
        note,
      ).toEqual([])
      expect(
        rows.times.filter(({ times }) => times > 1),
        note,
      ).toEqual([])
      expect(rows.sum, note).toBe(accounts.length * 1000)
      expect(stats.published, note).toBe(booked.size)
      for (const child of [...children]) await kill(child)
      await keeper.close({ drainMs: 0 })
      await place.drop()
    })
  })
})
