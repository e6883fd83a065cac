import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { delay, systemClock } from '../../src/core/clock.ts'
import { seededRandom } from '../../src/core/random.ts'
import { type Counts, type MainJob, rowsOf, type Stats, startMainJob } from './main-job.ts'

const services = [
  'agent-orchestrator',
  'project-coordinator',
  'planning-system',
  'model-orchestration',
  'tool-integration',
  'service-integration',
  'system-monitor',
]
const projects = 12
const tasks = projects * 3

/** What every run publishes, whoever is killed and when: each effect once. */
const expected: Readonly<Record<string, number>> = {
  'project.created': projects,
  'project.updated': projects,
  'project.planning_started': projects,
  'project.execution_started': projects,
  'project.completed': projects,
  'agent.created': projects,
  'agent.initialized': projects,
  'agent.state_changed': tasks * 2,
  'agent.task_assigned': tasks,
  'agent.task_completed': tasks,
  'task.created': tasks,
  'task.updated': projects,
  'task.assigned': tasks,
  'task.status_changed': tasks * 2,
  'task.completed': tasks,
  'model.execution_requested': tasks,
  'model.execution_completed': tasks,
  'tool.execution_requested': tasks,
  'tool.execution_completed': tasks,
  'workflow.started': projects + tasks,
  'workflow.step_completed': tasks * 2,
  'workflow.completed': projects + tasks,
}

const published = (stats: Stats) =>
  Object.fromEntries(
    Object.keys(expected).map((event) => [event, stats.byEvent[event]?.published ?? 0]),
  )
/** The webhooks of GitHub that fit their schema. They come over HTTP, beside the projects. */
const webhooks = 276
const webhooksOf = (stats: Stats) =>
  Object.entries(stats.byEvent).reduce(
    (sum, [event, { published }]) => sum + (event.startsWith('github.') ? published : 0),
    0,
  )
const isComplete = (stats: Stats) =>
  stats.byEvent['project.completed']?.published === projects &&
  webhooksOf(stats) === webhooks &&
  stats.waiting === 0
const isBalanced = (row: Counts) =>
  row.deliveries === row.handled + row.skipped + row.dead + row.expired + row.waiting
const withoutSystem = (stats: Stats) =>
  Object.fromEntries(
    Object.entries(stats.byEvent).filter(([event]) => !event.startsWith('system.')),
  )

let folder = ''
let job: MainJob | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'treaty-main-job-'))
})
afterEach(() => {
  job?.process.kill('SIGTERM')
  job = undefined
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
})

describe('the main job', { timeout: 300_000 }, () => {
  test('completes every project with each effect once, though every service is killed again and again', async () => {
    const file = join(folder, 'main.db')
    const random = seededRandom(20_261_121)
    job = await startMainJob(file)
    const kills = new Map(services.map((service) => [service, 0]))
    for (let round = 0; round < 4; round += 1) {
      for (const service of [...services].sort(() => random() - 0.5)) {
        await delay(systemClock, 50 + random() * 350)
        if (kill(job.pidOf(service))) kills.set(service, (kills.get(service) ?? 0) + 1)
      }
    }
    const stats = await job.until(isComplete, 'every project completes', 160_000)
    expect([...kills].filter(([, count]) => count === 0)).toEqual([])
    expect(published(stats)).toEqual(expected)
    expect(Object.values(stats.byEvent).filter((row) => !isBalanced(row))).toEqual([])
    // The monitor counts in the transaction of each acknowledgement: exactly what was published, not one more.
    const counts = rowsOf<{ event: string; count: number }>(
      file,
      'select * from system_monitor_counts',
    )
    expect(counts.length).toBe(13)
    expect(Object.fromEntries(counts.map(({ event, count }) => [event, count]))).toEqual(
      Object.fromEntries(counts.map(({ event }) => [event, stats.byEvent[event]?.published])),
    )
    const states = rowsOf(
      file,
      "select state, count(*) as n from system_monitor_states where subject like 'task %' group by state",
    )
    expect(states).toEqual([{ state: 'completed', n: tasks }])
    expect(await job.end('SIGINT')).toBe(0)

    job = await startMainJob(file)
    const again = await job.rest(60_000)
    expect(withoutSystem(again)).toEqual(withoutSystem(stats))
    expect(job.records.map((record) => record.text)).toContain(
      `${projects} projects were complete; nothing to do`,
    )
    expect(await job.end('SIGTERM')).toBe(0)
  })

  test('services end when the supervisor is killed, and the next start goes on', async () => {
    const file = join(folder, 'main.db')
    job = await startMainJob(file)
    await job.until(
      (stats) => (stats.byEvent['task.completed']?.published ?? 0) >= 3,
      'the work has begun',
      60_000,
    )
    const pids = services.map((service) => job?.pidOf(service) ?? 0)
    await job.end('SIGKILL')
    const deadline = systemClock.monotonic() + 20_000
    while (pids.some(isRunning) && systemClock.monotonic() < deadline) await delay(systemClock, 50)
    expect(pids.filter(isRunning)).toEqual([])

    job = await startMainJob(file)
    const stats = await job.until(isComplete, 'every project completes', 160_000)
    expect(published(stats)).toEqual(expected)
    expect(await job.end('SIGINT')).toBe(0)
  })
})

/** False: it was not running any more. */
function kill(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

/** True for a process that runs; one that has ended, but that nobody has waited for yet, does not. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = `/proc/${pid}/stat`
  return !existsSync(stat) || !/\) [ZX] /.test(readFileSync(stat, 'utf8'))
}
