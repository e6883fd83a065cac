import type { Argument, Reply } from './resp.ts'

/** Every command that Treaty uses, with arguments that a server accepts; by what the server calls it. */
const commands = (key: string): readonly (readonly string[])[] => [
  ['XADD', key, '*', 'a', 'b'],
  ['XACK', key, 'a', '0-1'],
  ['XDEL', key, '0-1'],
  ['XTRIM', key, 'MINID', '0'],
  ['XLEN', key],
  ['XRANGE', key, '-', '+'],
  ['XREVRANGE', key, '-', '+'],
  ['XREAD', 'STREAMS', key, '0'],
  ['XREADGROUP', 'GROUP', 'a', 'b', 'STREAMS', key, '>'],
  ['XPENDING', key, 'a'],
  ['XAUTOCLAIM', key, 'a', 'b', '1', '0'],
  ['XGROUP', 'CREATE', key, 'a', '0'],
  ['XGROUP', 'DESTROY', key, 'a'],
  ['XINFO', 'GROUPS', key],
  ['HSET', key, 'a', 'b'],
  ['HGET', key, 'a'],
  ['HMGET', key, 'a'],
  ['HDEL', key, 'a'],
  ['HEXISTS', key, 'a'],
  ['HGETALL', key],
  ['HINCRBY', key, 'a', '1'],
  ['HKEYS', key],
  ['HLEN', key],
  ['HVALS', key],
  ['ZADD', key, '1', 'a'],
  ['ZCOUNT', key, '0', '1'],
  ['ZRANGE', key, '0', '1'],
  ['ZRANGEBYSCORE', key, '0', '1'],
  ['ZREM', key, 'a'],
  ['ZREMRANGEBYSCORE', key, '0', '1'],
  ['SADD', key, 'a'],
  ['SREM', key, 'a'],
  ['SMEMBERS', key],
  ['SET', key, 'a'],
  ['GET', key],
  ['DEL', key],
  ['EXISTS', key],
  ['EXPIRE', key, '1'],
  ['TYPE', key],
  ['TIME'],
  ['EVALSHA', 'a', '0'],
  ['EVAL', 'return 1', '0'],
]
const withSubcommand = new Set(['XGROUP', 'XINFO'])

/**
 * Commands that the user may not run, of those that Treaty uses. A script that is refused does not say which of its commands it was. Asks by
 * queueing each in a transaction, which the server checks, and giving the transaction up: nothing is run. Empty where it cannot be asked.
 *
 * The connection must have no other user meanwhile.
 */
export async function deniedCommands(
  call: (command: string, ...args: readonly Argument[]) => Promise<Reply>,
  key: string,
): Promise<readonly string[]> {
  try {
    await call('MULTI')
  } catch {
    return []
  }
  const asked = commands(key).map(async ([name = '', ...args]) => {
    try {
      await call(name, ...args)
      return undefined
    } catch (error) {
      // A key that is out of bounds is another matter, and the same for all.
      if (!/^NOPERM.* to run the /.test((error as Error).message)) return undefined
      return withSubcommand.has(name) ? `${name} ${args[0]}` : name
    }
  })
  const denied = (await Promise.all(asked)).filter((name) => name !== undefined)
  await call('DISCARD')
  return denied
}
