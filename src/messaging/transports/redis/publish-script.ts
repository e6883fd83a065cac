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
 * ARGV: number of records, then for each: hash × 4, plus 2 if it has a key, plus 1 if it is urgent; type; more; its fields. Mostly `more` is '' and
 * there are two fields, of which only the values come: head and body. Else it is `fields|window|due|id`: how many fields come with
 * their names, milliseconds for which its id is known or '', time before which it stays back or '', and the id. Answers a text: a
 * place for each, with a space between; `=` before the place of a duplicate; '' where there is no such channel.
 */
export const publishScript = scriptOf(
  'refused',
  preludeLua,
  placeLua,
  `
if not ordering then return '' end
local is_kept = keeps()
local at, places, types, touched, streams = 2, {}, {}, {}, {}
local function put(lane, ...)
  local stream = streams[lane]
  if not stream then
    stream = base .. ':s' .. lane
    streams[lane] = stream
    touched[lane] = true
  end
  return redis.call('XADD', stream, '*', ...) .. '.' .. lane
end
local function put_with(lane, more, first)
  local amount, window, due, id = string.match(more, '^(%d+)|(%d*)|(%d*)|(.*)$')
  local last = first + 2 * amount - 1
  local seen = base .. ':id:' .. id
  local known = window ~= '' and redis.call('GET', seen)
  if known then return last, '=' .. known end
  local place = '0-0'
  if is_kept and due ~= '' and tonumber(due) > now_ms() then
    place = delay_until(due, lane, { unpack(ARGV, first, last) })
  elseif is_kept then
    place = put(lane, unpack(ARGV, first, last))
  end
  if window ~= '' then redis.call('SET', seen, place, 'PX', window) end
  return last, place, true
end
for record = 1, tonumber(ARGV[1]) do
  local code, type, more = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local lane = lane_of(math.floor(code / 4), code % 4 >= 2, code % 2 == 1)
  local place, is_new = '0-0', true
  if more == '' then
    if is_kept then place = put(lane, 'treaty', ARGV[at + 3], 'body', ARGV[at + 4]) end
    at = at + 5
  else
    local last
    last, place, is_new = put_with(lane, more, at + 3)
    at = last + 1
  end
  if is_new then types[type] = (types[type] or 0) + 1 end
  places[record] = place
end
for type, amount in pairs(types) do count('published', type, '', amount) end
ring_idle(touched)
return table.concat(places, ' ')
`,
)

/**
 * Takes messages that other programs wrote: from their stream at the channel's address, or straight from a lane. ARGV: the stream, the
 * group that read them there, how many, then for each: entry, hash, 1 if it has a key, type, number of fields, and the fields. Each
 * goes into its lane once, whoever else tries.
 */
export const adoptScript = scriptOf(
  'refused',
  preludeLua,
  placeLua,
  `
if not ordering then return 0 end
local stream, group = ARGV[1], ARGV[2]
local is_kept = keeps()
local is_alone = #redis.call('XINFO', 'GROUPS', stream) <= 1
local is_lane = string.sub(stream, 1, #base + 2) == base .. ':s'
local at, types, touched, taken = 4, {}, {}, 0
for record = 1, tonumber(ARGV[3]) do
  local entry, hash, keyed, type = unpack(ARGV, at, at + 3)
  local first = at + 5
  local last = first + 2 * tonumber(ARGV[at + 4]) - 1
  local mine = redis.call('XACK', stream, group, entry) == 1
  if is_lane then mine = redis.call('XDEL', stream, entry) == 1 end
  if mine then
    taken = taken + 1
    if not is_lane and is_alone then redis.call('XDEL', stream, entry) end
    if is_kept then
      local lane = lane_of(tonumber(hash), keyed == '1', false)
      redis.call('XADD', base .. ':s' .. lane, '*', unpack(ARGV, first, last))
      touched[lane] = true
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
