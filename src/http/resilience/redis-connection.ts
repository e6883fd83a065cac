import { TreatyError } from '../../core/errors.ts'
import { type RedisEval, redisBucket, type SharedBucket } from './shared-bucket.ts'

/** What of a connection of `ioredis` is used here. */
interface Connection extends RedisEval {
  on(event: 'error', listener: (error: Error) => void): unknown
  disconnect(): void
}

/** Milliseconds that one step may take: longer, and the limiter goes on alone with its part of the rate. */
const stepMs = 500

/** @throws DRIVER_MISSING where the optional package is not installed */
async function connect(url: string): Promise<Connection> {
  const { Redis } = await import('ioredis').catch((cause: unknown) => {
    throw new TreatyError('DRIVER_MISSING', 'a limit in Redis needs the package ioredis', {
      hint: 'Run npm install ioredis.',
      cause,
    })
  })
  const connection = new Redis(url, {
    connectTimeout: 2 * stepMs,
    commandTimeout: stepMs,
    maxRetriesPerRequest: 0,
  })
  // Each step that fails says so itself.
  connection.on('error', () => undefined)
  return connection
}

/** A bucket in the Redis or Valkey at `url`, connected to when it is first needed. @see redisBucket */
export function redisBucketAt(url: string, name: string): SharedBucket {
  let opening: Promise<Connection> | undefined
  const open = () => {
    opening ??= connect(url).catch((error: unknown) => {
      opening = undefined
      throw error
    })
    return opening
  }
  const bucket = redisBucket({ eval: async (...args) => (await open()).eval(...args) }, name)
  return {
    ...bucket,
    async close() {
      const connection = await opening?.catch(() => undefined)
      connection?.disconnect()
    },
  }
}
