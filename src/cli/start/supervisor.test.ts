import { expect, test } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { createSupervisor, restartDelayMs, type ServiceEvent } from './supervisor.ts'

/** Runs shell programs under a supervisor; `until` resolves once an event satisfies it. */
function stage(
  commands: Readonly<Record<string, string>>,
  restart: 'always' | 'on-failure' | 'never' = 'always',
) {
  const events: ServiceEvent[] = []
  let wake = () => {}
  const supervisor = createSupervisor({
    programs: Object.entries(commands).map(([name, command]) => ({
      name,
      command,
      args: [],
      restart,
      cwd: process.cwd(),
      environment: { PATH: process.env.PATH },
    })),
    clock: systemClock,
    onEvent: (event) => {
      events.push(event)
      wake()
    },
  })
  const until = async (matches: (event: ServiceEvent) => boolean) => {
    while (!events.some(matches)) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { supervisor, events, until }
}
const saying = (text: string) => (event: ServiceEvent) =>
  event.kind === 'line' && event.text === text

test('the wait before a restart doubles up to a bound', () => {
  expect([1, 2, 3, 6, 7, 50].map(restartDelayMs)).toEqual([200, 400, 800, 6400, 10_000, 10_000])
})

test('a program that dies is started again, with the reason told', async () => {
  const { supervisor, events, until } = stage({ a: 'kill -9 $$' })
  supervisor.start()
  await until((event) => event.kind === 'started' && event.starts === 2)
  await supervisor.stop(1000)
  expect(events.find((event) => event.kind === 'ended')).toMatchObject({
    how: 'killed by SIGKILL',
    againInMs: 200,
  })
  expect(supervisor.pids().size).toBe(0)
})

test('a program that ends well is not started again on-failure, one that fails is', async () => {
  const well = stage({ a: 'exit 0' }, 'on-failure')
  well.supervisor.start()
  await well.until((event) => event.kind === 'ended')
  expect(well.events.at(-1)).toMatchObject({ how: 'exit 0', againInMs: undefined })
  const badly = stage({ a: 'exit 3' }, 'on-failure')
  badly.supervisor.start()
  await badly.until((event) => event.kind === 'ended')
  expect(badly.events.at(-1)).toMatchObject({ how: 'exit 3', againInMs: 200 })
  await badly.supervisor.stop(0)
})

test('stop asks with SIGTERM, and lets the program finish', async () => {
  const { supervisor, events, until } = stage({
    a: "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done",
  })
  supervisor.start()
  await until(saying('up'))
  await supervisor.stop(10_000)
  expect(events.some(saying('bye'))).toBe(true)
  expect(events.filter((event) => event.kind === 'ended')).toEqual([])
})

test('a program that does not listen is killed at the deadline, with its children', async () => {
  const { supervisor, events, until } = stage({
    a: "trap '' TERM; sleep 600 & echo up; wait; sleep 600",
  })
  supervisor.start()
  await until((event) => event.kind === 'line')
  // It resolves when nobody holds the output any more: the child of the program would, for ten minutes.
  await supervisor.stop(50)
  expect(events.at(-1)).toMatchObject({ kind: 'ended', how: 'killed by SIGKILL' })
})

test('standard input of a program is a pipe that stays open', async () => {
  const { supervisor, until } = stage({ a: 'echo waiting; cat; echo closed' })
  supervisor.start()
  await until(saying('waiting'))
  await supervisor.stop(5000)
  expect(supervisor.pids().size).toBe(0)
})
