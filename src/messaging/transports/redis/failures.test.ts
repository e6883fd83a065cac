import { describe, expect, it } from 'vitest'
import { asBrokerError } from './failures.ts'

/** As the driver gives what the server answered. */
const answered = (text: string) => Object.assign(new Error(text), { name: 'ReplyError' })

describe('what a Redis server answers', () => {
  it.each([
    ['NOAUTH Authentication required.', 'BROKER_ACCESS_DENIED'],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'BROKER_ACCESS_DENIED'],
    ["NOPERM this user has no permissions to run the 'xadd' command", 'BROKER_ACCESS_DENIED'],
    [
      "ERR The user executing the script can't run this command or subcommand",
      'BROKER_ACCESS_DENIED',
    ],
    ["READONLY You can't write against a read only replica.", 'BROKER_READ_ONLY'],
    [
      "OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'",
      'BROKER_FULL',
    ],
    ['MISCONF Errors writing to the AOF file: No space left on device', 'BROKER_FULL'],
    ['LOADING Redis is loading the dataset in memory', 'BROKER_UNREACHABLE'],
    ['BUSY Redis is busy running a script.', 'BROKER_UNREACHABLE'],
    ['CLUSTERDOWN The cluster is down', 'BROKER_UNREACHABLE'],
    ['ERR DB index is out of range', 'BROKER_URL_INVALID'],
    ['MOVED 866 10.0.0.1:6379', 'BROKER_URL_INVALID'],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', 'TRANSPORT_FAILED'],
  ])('%s is %s', (text, code) => {
    expect(asBrokerError(answered(text), 'redis://localhost:6379/0')).toMatchObject({
      code,
      message: expect.stringContaining('redis://localhost:6379/0'),
    })
  })
})

describe('a script that a user may not run', () => {
  it('is told with the commands that are forbidden', () => {
    const error = answered("ERR The user executing the script can't run this command")
    expect(asBrokerError(error, 'here', ['XADD', 'XTRIM'])).toMatchObject({
      message: expect.stringContaining('it forbids XADD, XTRIM'),
      details: { commands: ['XADD', 'XTRIM'] },
    })
  })
})

describe('a connection that fails', () => {
  it.each([
    ['self-signed certificate', 'BROKER_TLS_FAILED'],
    ['Protocol error, got "\u0015" as reply type byte', 'BROKER_TLS_FAILED'],
    ['getaddrinfo ENOTFOUND nowhere', 'BROKER_UNREACHABLE'],
    ['connect ECONNREFUSED 127.0.0.1:1', 'BROKER_UNREACHABLE'],
  ])('%s is %s', (text, code) => {
    expect(asBrokerError(new Error(text), 'here')).toMatchObject({ code })
  })
})
