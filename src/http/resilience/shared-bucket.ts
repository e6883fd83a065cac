import { type Clock, systemClock } from '../../core/clock.ts'
import { isJsonObject } from '../../core/json.ts'
import type { Store } from '../../store/index.ts'

/** What somebody wants from a bucket that several processes share. */
export interface BucketRequest {
  readonly ratePerSecond: number
  readonly burst: number
  /** Tokens that each of the waiting calls needs, in order. */
  readonly costs: readonly number[]
}

/** How many of the calls may go, and after how long the next may. */
export interface BucketGrant {
  readonly admitted: number
  readonly waitMs: number
}

/** A token bucket outside of this process. Each request is one atomic step there. */
export interface SharedBucket {
  take(request: BucketRequest): Promise<BucketGrant>
  /** Nobody is admitted for this time, in any process. */
  pause(ms: number): Promise<void>
  /** Gives back what the bucket holds open; the client that uses it does so when it closes. */
  close?(): Promise<void>
}

interface State {
  /** Epoch milliseconds at which the bucket is full again. */
  readonly fullAt: number
  readonly pausedUntil: number
}

/** What a bucket in this state gives at this time, and its next state. */
function serve(state: State, request: BucketRequest, now: number): BucketGrant & { next: State } {
  const msPerToken = 1000 / request.ratePerSecond
  const reach = request.burst * msPerToken
  let fullAt = Math.max(state.fullAt, now)
  let admitted = 0
  if (state.pausedUntil > now) {
    return { admitted, waitMs: state.pausedUntil - now, next: state }
  }
  for (const cost of request.costs) {
    const after = fullAt + cost * msPerToken
    if (after - now > reach + 1e-6) {
      return { admitted, waitMs: Math.max(1, after - reach - now), next: { ...state, fullAt } }
    }
    fullAt = after
    admitted += 1
  }
  return { admitted, waitMs: 0, next: { ...state, fullAt } }
}

const collection = 'http-rate-limits'
const conflictsMax = 50

function readState(value: unknown): State {
  const known = isJsonObject(value) ? value : {}
  return { fullAt: Number(known.fullAt ?? 0), pausedUntil: Number(known.pausedUntil ?? 0) }
}

/**
 * A bucket in the store, changed by compare and swap. Time is that of the hosts, so their clocks should agree to some
 * milliseconds; one that runs behind waits longer, it does not admit more.
 */
export function storeBucket(store: Store, name: string, clock: Clock = systemClock): SharedBucket {
  async function change<T>(step: (state: State) => { readonly result: T; readonly next: State }) {
    for (let conflicts = 0; conflicts < conflictsMax; conflicts += 1) {
      const record = await store.records.get(collection, name)
      const state = readState(record?.value)
      const { result, next } = step(state)
      if (next === state) return result
      const expect = record?.revision ?? 0
      if (await store.records.put(collection, name, { ...next }, { expect })) return result
    }
    return undefined
  }
  return {
    async take(request) {
      const granted = await change((state) => {
        const { next, ...result } = serve(state, request, clock.now())
        return { result, next: result.admitted === 0 ? state : next }
      })
      // Others were faster every time: that is a busy bucket, not a broken one.
      return granted ?? { admitted: 0, waitMs: 10 }
    },
    async pause(ms) {
      await change((state) => {
        const pausedUntil = Math.max(state.pausedUntil, clock.now() + ms)
        return { result: true, next: { ...state, pausedUntil } }
      })
    },
  }
}

/** What is needed of a Redis or Valkey client; `ioredis` has it. */
export interface RedisEval {
  eval(script: string, keyCount: number, ...rest: (string | number)[]): Promise<unknown>
}

/** The server's own time, one atomic step, and a key that vanishes when the bucket is full (rule L1). */
const takeScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local msPerToken = 1000 / tonumber(ARGV[1])
local reach = tonumber(ARGV[2]) * msPerToken
local pausedUntil = tonumber(redis.call('GET', KEYS[2]) or '0')
if pausedUntil > now then return {0, tostring(pausedUntil - now)} end
local fullAt = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local admitted = 0
local wait = 0
for i = 3, #ARGV do
  local after = fullAt + tonumber(ARGV[i]) * msPerToken
  if after - now > reach + 0.000001 then
    wait = math.max(1, after - reach - now)
    break
  end
  fullAt = after
  admitted = admitted + 1
end
if admitted > 0 then
  redis.call('SET', KEYS[1], string.format('%.6f', fullAt), 'PX', math.ceil(fullAt - now + reach) + 1000)
end
return {admitted, tostring(wait)}`

const pauseScript = `
local time = redis.call('TIME')
local untilMs = time[1] * 1000 + time[2] / 1000 + tonumber(ARGV[1])
local known = tonumber(redis.call('GET', KEYS[1]) or '0')
if untilMs > known then redis.call('SET', KEYS[1], string.format('%.6f', untilMs), 'PX', math.ceil(ARGV[1]) + 1000) end
return 1`

/** A bucket in Redis or Valkey, by the server's clock. */
export function redisBucket(redis: RedisEval, name: string): SharedBucket {
  const key = `treaty:{rate:${name}}`
  return {
    async take({ ratePerSecond, burst, costs }) {
      const answer = await redis.eval(
        takeScript,
        2,
        key,
        `${key}:paused`,
        ratePerSecond,
        burst,
        ...costs,
      )
      const [admitted, waitMs] = answer as [number, string]
      return { admitted, waitMs: Number(waitMs) }
    },
    async pause(ms) {
      await redis.eval(pauseScript, 1, `${key}:paused`, Math.max(0, Math.ceil(ms)))
    },
  }
}
