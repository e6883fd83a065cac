import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { isTreatyError, openTransport, systemClock } from '../../src/index.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { freshSchema, onPostgres } from '../conformance/postgres-place.ts'
import { type ServiceName, serviceUrl, withService } from '../conformance/service-url.ts'
import { accounts, bankTables } from './bank-broker.ts'
import { isFullSoak } from './effort.ts'

const rounds = Number(process.env.TREATY_BANK_ROUNDS ?? (isFullSoak ? 100 : 3))
const program = new URL('./bank-broker-child.ts', import.meta.url)
const roles = ['sending', 'booking', 'booking', 'confirming'] as const
type Role = (typeof roles)[number]
/** Names of brokers to try, comma-separated; default: Kafka, whose groups take longest to meet again, and in the soak all that run. */
const only = process.env.TREATY_BANK_BROKERS?.split(',') ?? (isFullSoak ? undefined : ['kafka'])

const children = new Set<ChildProcess>()
afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
})

interface Stage {
  readonly run: string
  readonly broker: string
  readonly sender: { readonly url: string; readonly schema: string }
  readonly receiver: { readonly url: string; readonly schema: string }
  readonly problems: Map<string, number>
}

let started = 0

async function start(role: Role, stage: Stage): Promise<ChildProcess> {
  const place = role === 'booking' ? stage.receiver : stage.sender
  started += 1
  const child = fork(
    program,
    [role, stage.run, stage.broker, place.url, place.schema, String(started * 1_000_000)],
    { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  )
  children.add(child)
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`${role} ended with ${code} at its start`)))
    child.on('message', (message: { kind: string; code?: string }) => {
      if (message.kind === 'ready') resolve()
      if (message.code)
        stage.problems.set(message.code, (stage.problems.get(message.code) ?? 0) + 1)
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

/** What the two sets of books say. */
async function books(server: string, { sender, receiver }: Stage) {
  return onPostgres(server, async (client) => {
    const numbers = async (schema: string, kind: string): Promise<number[]> =>
      (
        await client.query(`SELECT number FROM ${schema}.entry WHERE kind = $1 ORDER BY at`, [kind])
      ).rows.map(({ number }) => Number(number))
    const sum = async (schema: string): Promise<number> =>
      Number((await client.query(`SELECT sum(balance) AS sum FROM ${schema}.account`)).rows[0]?.sum)
    return {
      sent: await numbers(sender.schema, 'sent'),
      booked: await numbers(receiver.schema, 'booked'),
      confirmed: await numbers(sender.schema, 'confirmed'),
      sum: (await sum(sender.schema)) + (await sum(receiver.schema)),
    }
  })
}

/** The numbers of one account, in the order in which they were written. */
const ofAccount = (numbers: readonly number[], account: number) =>
  numbers.filter((number) => number % accounts.length === account)

async function isOpened(url: string): Promise<boolean> {
  try {
    await openTransport(url)
    return true
  } catch (error) {
    if (isTreatyError(error) && error.code === 'TRANSPORT_UNKNOWN') return false
    throw error
  }
}

const folder = mkdtempSync(join(tmpdir(), 'treaty-bank-'))
const brokers: readonly (readonly [name: string, url: string | undefined])[] = [
  ['sqlite', `sqlite:${join(folder, 'broker.db')}`],
  ...(['postgres', 'kafka', 'nats', 'rabbitmq', 'redis'] as const).map(
    (name: ServiceName) => [name, serviceUrl(name)] as const,
  ),
]

await withService('postgres', async (server) => {
  for (const [name, given] of brokers) {
    if (only !== undefined && !only.includes(name)) continue
    const canRun = given !== undefined && (await isOpened(given))
    describe(`two banks over ${name}`, () => {
      it.skipIf(!canRun)(
        `keep their sums under kill -9 of everything (${rounds} rounds)`,
        async () => {
          const seed = Date.now() % 1_000_000
          const places = [freshSchema(server), freshSchema(server), freshSchema(server)] as const
          const [sender, receiver, brokers_] = places
          const stage: Stage = {
            run: randomUUID().slice(0, 8),
            // The broker on PostgreSQL has a schema of its own.
            broker: name === 'postgres' ? brokers_.url : (given as string),
            sender,
            receiver,
            problems: new Map(),
          }
          await onPostgres(server, async (client) => {
            for (const { schema } of [sender, receiver]) {
              await client.query(bankTables(schema))
              await client.query(
                `INSERT INTO ${schema}.account SELECT one, 1000 FROM unnest($1::text[]) AS one`,
                [accounts],
              )
            }
          })
          const { found, sums } = await play(server, stage, seed)
          const note = `seed ${seed}, ${found.sent.length} sent, problems ${JSON.stringify([...stage.problems])}`
          console.log(`two banks over ${name}, ${rounds} rounds: ${note}`)

          expect(
            sums.every((sum) => sum <= accounts.length * 2000),
            note,
          ).toBe(true)
          expect(found.booked.toSorted(), note).toEqual(found.sent.toSorted())
          expect(found.confirmed.toSorted(), note).toEqual(found.sent.toSorted())
          expect(found.sum, note).toBe(accounts.length * 2000)
          for (const account of accounts.keys()) {
            expect(ofAccount(found.booked, account), note).toEqual(ofAccount(found.sent, account))
          }
          await Promise.all([...children].map(kill))
          await takeAway(stage)
          for (const place of places) await place.drop()
        },
      )
    })
  }
})

process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

/** What this run has made on a broker that others use, too. */
async function takeAway({ broker, run }: Stage): Promise<void> {
  const transport = await openTransport(broker)
  try {
    await transport.connect()
    const there = await transport.inventory?.()
    const surplus = {
      subscriptions: [],
      groups: (there?.groups ?? [])
        .map(({ name }) => name)
        .filter((name) => name.startsWith(`bank.r${run}.`)),
      channels: (there?.channels ?? [])
        .map(({ address }) => address)
        .filter((address) => address.startsWith(`bank.${run}.`)),
    }
    // A broker counts who was killed as connected until its session is over.
    const deadline = systemClock.monotonic() + 90_000
    for (;;) {
      try {
        await transport.remove?.(surplus)
        return
      } catch (error) {
        const isEarly = isTreatyError(error) && error.code === 'TOPOLOGY_IN_USE'
        if (!isEarly || systemClock.monotonic() > deadline) throw error
        await sleep(500)
      }
    }
  } finally {
    await transport.close({ drainMs: 0 })
  }
}

/** Kills and replaces for some rounds, then lets what is under way arrive. */
async function play(server: string, stage: Stage, seed: number) {
  const random = seededRandom(seed)
  const cast: ChildProcess[] = []
  // The first makes the topology; together they would only wait for each other.
  for (const role of roles) cast.push(await start(role, stage))
  const sums: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    await sleep(100 + random() * 700)
    // Now and then all of them at once, as when a machine goes down.
    const victims = random() < 0.2 ? [...roles.keys()] : [Math.floor(random() * roles.length)]
    await Promise.all(victims.map((victim) => kill(cast[victim] as ChildProcess)))
    for (const victim of victims) cast[victim] = await start(roles[victim] as Role, stage)
    sums.push((await books(server, stage)).sum)
  }
  await kill(cast[0] as ChildProcess)
  // Its outbox is sent by the other process of the same bank.
  const deadline = systemClock.monotonic() + 120_000
  let found = await books(server, stage)
  while (found.confirmed.length < found.sent.length && systemClock.monotonic() < deadline) {
    await sleep(200)
    found = await books(server, stage)
  }
  // What comes twice would come soon.
  await sleep(1000)
  found = await books(server, stage)
  for (const child of [...children]) await kill(child)
  return { found, sums }
}
