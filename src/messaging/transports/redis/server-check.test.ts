import { describe, expect, it } from 'vitest'
import type { Reply } from './resp.ts'
import { checkServer } from './server-check.ts'
import { readRedisUrl } from './url.ts'

const healthy = {
  redis_version: '7.2.4',
  role: 'master',
  loading: '0',
  aof_enabled: '1',
  maxmemory_policy: 'noeviction',
  cluster_enabled: '0',
}

/** A server that says this of itself. */
function server(info: Readonly<Record<string, string>>, nodes = '') {
  const said = Object.entries({ ...healthy, ...info }).map(([name, value]) => `${name}:${value}`)
  const call = async (command: string): Promise<Reply> => {
    if (command === 'INFO') return Buffer.from(said.join('\r\n'))
    if (command === 'CLUSTER') return Buffer.from(nodes)
    if (command === 'CONFIG') return ['appendfsync', 'always'].map((text) => Buffer.from(text))
    return Buffer.from('OK')
  }
  return { check: () => checkServer(call, readRedisUrl('redis://localhost')) }
}

const nodeOf = (slots: string) =>
  `aaa 127.0.0.1:7001@17001 master - 0 0 2 connected 0-99\nbbb 127.0.0.1:7000@17000 myself,master - 0 0 1 connected ${slots}\n`

describe('a server', () => {
  it('that keeps what it acknowledges will do', async () => {
    expect(await server({}).check()).toEqual({ fsync: 'always' })
  })

  it.each([
    ['is older than 7.0', { redis_version: '6.2.14' }, 'BROKER_TOO_OLD'],
    ['still loads its data', { loading: '1' }, 'BROKER_UNREACHABLE'],
    ['is a replica', { role: 'slave' }, 'BROKER_READ_ONLY'],
    ['writes nothing to its disk', { aof_enabled: '0' }, 'BROKER_UNSAFE'],
    ['throws keys away', { maxmemory_policy: 'volatile-lru' }, 'BROKER_UNSAFE'],
  ])('that %s is refused', async (_, info, code) => {
    await expect(server(info).check()).rejects.toMatchObject({ code })
  })

  it('that is one of several nodes of a cluster is refused, and one with every slot is not', async () => {
    const cluster = { cluster_enabled: '1' }
    await expect(server(cluster, nodeOf('0-8191 9000')).check()).rejects.toMatchObject({
      code: 'BROKER_URL_INVALID',
      details: { slots: 8193 },
    })
    const whole = server(cluster, nodeOf('0-8191 8192 8193-16383 [1->-ccc]'))
    expect(await whole.check()).toEqual({ fsync: 'always' })
  })
})
