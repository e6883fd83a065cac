import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { runCaptured } from '../captured-run.ts'

test('a caller that asks more often than server.rateLimit gets 429 with Retry-After', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'treaty-rate-'))
  const config = 'contracts: pack:a2a-v1\nserver: { rateLimit: { rate: 1/m, burst: 2 } }\n'
  writeFileSync(join(cwd, 'treaty.config.yaml'), config)
  const stopping = new AbortController()
  const ready = Promise.withResolvers<string>()
  const running = runCaptured(['serve', '--port', '0', '--json'], {
    cwd,
    stopping: stopping.signal,
    onWrite(text) {
      const url = /"kind":"ready".*"url":"([^"]+)"/.exec(text)?.[1]
      if (url !== undefined) ready.resolve(url)
    },
  })
  const url = await Promise.race([ready.promise, running.then(({ out, err }) => out + err)])
  const statuses: number[] = []
  for (let n = 0; n < 3; n += 1) statuses.push((await fetch(`${url}/api/stats`)).status)
  const refused = await fetch(`${url}/api/stats`)
  const health = await fetch(`${url}/health`)
  stopping.abort()
  const { code } = await running

  expect(statuses).toEqual([200, 200, 429])
  expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
  expect(refused.headers.get('ratelimit-policy')).toBe('"default";q=2;w=120')
  expect(await refused.json()).toMatchObject({ code: 'RATE_LIMIT_REACHED', status: 429 })
  expect(health.status).toBe(200)
  expect(code).toBe(0)
})
