import { preludeLua, scriptOf } from './script.ts'

/** Puts one message where it belongs; used by publishing and by all that publishes anew. Gives its place. */
export const placeLua = `
local meta = redis.call('HMGET', base .. ':channel', 'ordering', 'lanes', 'urgent', 'retention')
local ordering, lanes, urgent, retention = meta[1], tonumber(meta[2]), tonumber(meta[3]), meta[4]
local function lane_of(hash, is_keyed, is_urgent)
  if ordering == 'per-channel' then return 0 end
  if is_urgent and urgent > 0 and (ordering == 'none' or not is_keyed) then
    return lanes + hash % urgent
  end
  return hash % lanes
end
local function keeps()
  return retention ~= '' or redis.call('HLEN', base .. ':groups') > 0
end
local function delay_until(due, lane, fields)
  local member = string.format('%016.0f', redis.call('HINCRBY', base .. ':channel', 'delayed', 1))
  local first = redis.call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')
  redis.call('ZADD', base .. ':delayed', due, member)
  redis.call('HSET', base .. ':delayed:m', member, cmsgpack.pack({ lane, fields }))
  if first[2] == nil or tonumber(due) < tonumber(first[2]) then ring('due') end
  return member .. '.due'
end
`

/**
 * ARGV: number of records, then for each: id, hash, 1 if it has a key, 1 if it is urgent, window of its id in ms or '', time before which it
 * stays back or '', type, number of fields, and the fields. Answers a place for each; `=` before the place of a duplicate; nothing
 * at all where there is no such channel.
 */
export const publishScript = scriptOf(
  'refused',
  preludeLua,
  placeLua,
  `
if not ordering then return {} end
local is_kept, now = keeps(), now_ms()
local at, places, types, touched = 2, {}, {}, {}
for record = 1, tonumber(ARGV[1]) do
  local id, hash, keyed, level, window, due, type = unpack(ARGV, at, at + 6)
  local first = at + 8
  local last = first + 2 * tonumber(ARGV[at + 7]) - 1
  local seen = base .. ':id:' .. id
  local known = window ~= '' and redis.call('GET', seen)
  if known then
    places[record] = '=' .. known
  else
    local place = '0-0'
    if is_kept then
      local lane = lane_of(tonumber(hash), keyed == '1', level == '1')
      if due ~= '' and tonumber(due) > now then
        place = delay_until(due, lane, { unpack(ARGV, first, last) })
      else
        place = redis.call('XADD', base .. ':s' .. lane, '*', unpack(ARGV, first, last)) .. '.' .. lane
        touched[lane] = true
      end
    end
    types[type] = (types[type] or 0) + 1
    if window ~= '' then redis.call('SET', seen, place, 'PX', window) end
    places[record] = place
  end
  at = last + 1
end
for type, amount in pairs(types) do count('published', type, '', amount) end
ring_idle(touched)
return places
`,
)

/**
 * Takes messages that other programs wrote: from their stream at the channel's address, or straight from a lane. ARGV: the stream, the
 * group that read them there, then as {@link publishScript} with the entry instead of an id, and no window. Each
 * goes into its lane once, whoever else tries.
 */
export const adoptScript = scriptOf(
  'refused',
  preludeLua,
  placeLua,
  `
if not ordering then return 0 end
local stream, group = ARGV[1], ARGV[2]
local is_kept, now = keeps(), now_ms()
local is_alone = #redis.call('XINFO', 'GROUPS', stream) <= 1
local is_lane = string.sub(stream, 1, #base + 2) == base .. ':s'
local at, types, touched, taken = 4, {}, {}, 0
for record = 1, tonumber(ARGV[3]) do
  local entry, hash, keyed, level, _, due, type = unpack(ARGV, at, at + 6)
  local first = at + 8
  local last = first + 2 * tonumber(ARGV[at + 7]) - 1
  local mine = redis.call('XACK', stream, group, entry) == 1
  if is_lane then mine = redis.call('XDEL', stream, entry) == 1 end
  if mine then
    taken = taken + 1
    if not is_lane and is_alone then redis.call('XDEL', stream, entry) end
    if is_kept then
      local lane = lane_of(tonumber(hash), keyed == '1', level == '1')
      if due ~= '' and tonumber(due) > now then
        delay_until(due, lane, { unpack(ARGV, first, last) })
      else
        redis.call('XADD', base .. ':s' .. lane, '*', unpack(ARGV, first, last))
        touched[lane] = true
      end
    end
    types[type] = (types[type] or 0) + 1
  end
  at = last + 1
end
for type, amount in pairs(types) do count('published', type, '', amount) end
ring_idle(touched)
return taken
`,
)
