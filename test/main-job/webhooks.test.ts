import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { delay, systemClock } from '../../src/core/clock.ts'
import { type MainJob, startMainJob } from './main-job.ts'

const payloads = 329
const drifted = 53
let job: MainJob | undefined
let folder = ''
afterEach(() => {
  job?.process.kill('SIGKILL')
  job = undefined
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
})

interface Attempt {
  readonly messageId: string
  readonly attempt: number
  readonly outcome: string
  readonly elapsedMs: number
  readonly at: number
  readonly status?: number
  readonly error?: string
}

async function read<Body>(path: string): Promise<Body> {
  return (await (await fetch(`${job?.url}${path}`)).json()) as Body
}
const attemptsOf = async (endpoint: string) =>
  (await read<{ items: Attempt[] }>(`/api/webhooks/endpoints/${endpoint}/attempts?limit=500`)).items

async function until<Value>(look: () => Promise<Value>, holds: (value: Value) => boolean) {
  const deadline = systemClock.monotonic() + 90_000
  for (;;) {
    const value = await look()
    if (holds(value) || systemClock.monotonic() > deadline) return value
    await delay(systemClock, 200)
  }
}

describe('the webhooks of the main job', { timeout: 240_000 }, () => {
  test('come signed over HTTP, go out to three partners, and the one that hangs slows nobody', async () => {
    folder = mkdtempSync(join(tmpdir(), 'treaty-webhooks-job-'))
    const file = join(folder, 'main.db')
    job = await startMainJob(file)
    const atRest = await job.rest(120_000)
    expect(atRest.waiting).toBe(0)

    const { items: sources } = await read<{ items: { outcomes: Record<string, number> }[] }>(
      '/api/webhooks/sources',
    )
    expect(sources).toMatchObject([
      {
        name: 'github',
        path: '/hooks/github',
        outcomes: {
          published: payloads - drifted,
          quarantined: drifted,
          unverified: 1,
        },
      },
    ])
    // Thirteen are sent twice; a sender that waits too long for its answer sends once more.
    expect(sources[0]?.outcomes.duplicate).toBeGreaterThanOrEqual(13)
    const github = Object.entries(atRest.byEvent).filter(([event]) => event.startsWith('github.'))
    const sum = (column: 'published' | 'dead') =>
      github.reduce((total, [, row]) => total + row[column], 0)
    expect([sum('published'), sum('dead')]).toEqual([payloads - drifted, drifted])

    type Endpoints = { items: { id: string; status: string; disabledReason?: string }[] }
    const endpoints = await until(
      () => read<Endpoints>('/api/webhooks/endpoints'),
      ({ items }) => items.some(({ disabledReason }) => disabledReason === 'failing'),
    )
    expect(endpoints.items.map(({ id, status }) => `${id} ${status}`)).toEqual([
      'partner-failing active',
      'partner-hanging disabled',
      'partner-healthy active',
    ])
    const healthy = await attemptsOf('partner-healthy')
    expect(healthy.length).toBeGreaterThan(50)
    // On a machine that has other things to do an attempt may take too long; none is given up.
    const delivered = healthy.filter(({ outcome }) => outcome === 'delivered')
    const messages = new Set(healthy.map(({ messageId }) => messageId))
    expect(new Set(delivered.map(({ messageId }) => messageId))).toEqual(messages)
    expect(delivered.length).toBe(messages.size)
    const hanging = await attemptsOf('partner-hanging')
    expect(hanging.every(({ error }) => error?.startsWith('timeout'))).toBe(true)
    // All that the healthy one got was there before the other was given up.
    const lastHealthy = Math.max(...delivered.map(({ at, elapsedMs }) => at + elapsedMs))
    expect(lastHealthy).toBeLessThan(hanging.at(-1)?.at ?? 0)
    const failing = await attemptsOf('partner-failing')
    expect(failing.filter(({ outcome }) => outcome === 'exhausted').length).toBeGreaterThan(0)
    expect(failing.every(({ status }) => status === 500)).toBe(true)

    const metrics = await (await fetch(`${job.url}/metrics`)).text()
    expect(metrics).toContain(
      `treaty_webhook_requests_total{source="github",outcome="quarantined"} ${drifted}`,
    )
    expect(metrics).toContain('treaty_webhook_endpoints{state="disabled"} 1')
    expect(await job.end('SIGINT')).toBe(0)

    job = await startMainJob(file)
    const again = await job.rest(60_000)
    for (const [event, row] of github) expect([event, again.byEvent[event]]).toEqual([event, row])
    expect((await attemptsOf('partner-healthy')).length).toBe(healthy.length)
    expect(await job.end('SIGTERM')).toBe(0)
  })
})
