import { createHash } from 'node:crypto'

/** A script that runs as one step of the server; its first key is {@link Names.base} of a channel, all others are made of it. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/**
 * `whenFull`: what it does where the server has used all its memory. What only adds is refused before it has done anything; what
 * settles, moves or frees has to go on, or the server would stay full.
 */
export function scriptOf(whenFull: 'refused' | 'goes on', ...parts: readonly string[]): Script {
  const first = whenFull === 'refused' ? '#!lua' : '#!lua flags=allow-oom'
  const text = [first, ...parts].join('\n')
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/** Time is the server's; what a bell rings for goes into a short stream that every replica waits at. */
export const preludeLua = `
local base = KEYS[1]
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function whole(number) return string.format('%.0f', number) end
local function ring(why)
  redis.call('XADD', base .. ':bell', 'MAXLEN', '~', '64', '*', 'why', why)
end
local function ring_idle(lanes)
  local woken = {}
  for lane in pairs(lanes) do
    if redis.call('HDEL', base .. ':idle', lane) == 1 then woken[#woken + 1] = lane end
  end
  if #woken > 0 then ring('lanes ' .. table.concat(woken, ',')) end
end
local function count(counter, event, group, amount)
  if amount ~= 0 then
    redis.call('HINCRBY', base .. ':counts', counter .. '\\0' .. event .. '\\0' .. group, amount)
  end
end
`

/**
 * Dead letters: one sorted set for each combination of consumer, event and reason, so that every filter is counted and paged without
 * reading letters; summaries and contents apart. Scores are unique enough: milliseconds × 4096 + a counter.
 */
export const lettersLua = `
local function keep_letter(id, score, combo, summary, extra, fields, expires)
  redis.call('SADD', base .. ':dead:combos', combo)
  redis.call('ZADD', base .. ':dead:' .. combo, score, id)
  redis.call('HSET', base .. ':dead:letters', id, score .. '\\n' .. combo .. '\\n' .. summary)
  redis.call('HSET', base .. ':dead:contents', id, cmsgpack.pack({ extra, fields }))
  redis.call('ZADD', base .. ':dead:until', expires, id)
end
local function find_letter(id)
  local row = redis.call('HGET', base .. ':dead:letters', id)
  if not row then return nil end
  local score, combo, summary = string.match(row, '^([^\\n]*)\\n([^\\n]*)\\n(.*)$')
  return { score = score, combo = combo, summary = summary }
end
local function drop_letter(id, combo)
  redis.call('ZREM', base .. ':dead:' .. combo, id)
  if redis.call('EXISTS', base .. ':dead:' .. combo) == 0 then
    redis.call('SREM', base .. ':dead:combos', combo)
  end
  redis.call('HDEL', base .. ':dead:letters', id)
  redis.call('HDEL', base .. ':dead:contents', id)
  redis.call('ZREM', base .. ':dead:until', id)
end
-- A letter that holds its key: its owner is told what to do. False: it holds none.
local function order_blocked(group, lane, entry, how)
  if group == '' or lane == '' then return false end
  local g = base .. ':g:' .. group
  local state = redis.call('HGET', g .. ':a' .. lane, entry)
  if not state or not cjson.decode(state).blocked then return false end
  if redis.call('EXISTS', base .. ':s' .. lane) == 0 then return false end
  if #redis.call('XPENDING', base .. ':s' .. lane, group, entry, entry, 1) == 0 then return false end
  redis.call('HSET', g .. ':orders' .. lane, entry, how)
  ring('lanes ' .. lane)
  return true
end
`
