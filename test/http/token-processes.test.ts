import { fork } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { hostile, hostileServer } from '../../src/testing/index.ts'

describe('a credential that processes share (O1)', () => {
  it('is refreshed by one call, whoever of a hundred needs it first', async () => {
    const server = await hostileServer()
    server.script(
      '/token',
      hostile.json({
        access_token: 't-1',
        token_type: 'Bearer',
        expires_in: 3600,
        refresh_token: 'refresh-2',
      }),
      // A second one with the spent refresh token would be refused for good.
      hostile.json({ error: 'invalid_grant' }, 400),
    )
    server.script('/api', hostile.json({}))
    const file = join(mkdtempSync(join(tmpdir(), 'treaty-token-')), 'store.db')
    const codes = await Promise.all(
      Array.from({ length: 5 }, () => {
        const child = fork(join(import.meta.dirname, 'token-child.ts'), [file, server.url])
        return new Promise((resolve) => child.once('exit', resolve))
      }),
    )
    const seen = server.requests
    await server.close()

    expect(codes).toEqual([0, 0, 0, 0, 0])
    expect(seen.filter(({ url }) => url === '/token')).toHaveLength(1)
    const calls = seen.filter(({ url }) => url === '/api')
    expect(calls).toHaveLength(100)
    expect(calls.every(({ headers }) => headers.authorization === 'Bearer t-1')).toBe(true)
  })
})
