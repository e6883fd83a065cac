import { preludeLua, scriptOf } from './script.ts'

/**
 * Makes a channel, or takes on what is stricter. ARGV: ordering, retention in ms or '', lanes, lanes for urgent messages, 1 to change what is
 * there. Answers what was there before: ordering, retention, lanes; or nothing.
 */
export const channelScript = scriptOf(
  'refused',
  preludeLua,
  `
local key = base .. ':channel'
local there = redis.call('HMGET', key, 'ordering', 'retention', 'lanes')
if not there[1] then
  if ARGV[5] == '1' then
    redis.call('HSET', key, 'ordering', ARGV[1], 'retention', ARGV[2], 'lanes', ARGV[3], 'urgent', ARGV[4])
  end
  return {}
end
local rank = { none = 0, ['per-key'] = 1, ['per-channel'] = 2 }
if ARGV[5] == '1' then
  if rank[there[1]] < rank[ARGV[1]] then redis.call('HSET', key, 'ordering', ARGV[1]) end
  if (tonumber(there[2]) or 0) < (tonumber(ARGV[2]) or 0) then redis.call('HSET', key, 'retention', ARGV[2]) end
end
return there
`,
)

/**
 * Lets a group begin on a channel. ARGV: group, its description, "earliest" or "latest", milliseconds for which an ephemeral one lives
 * without its connection, or ''. Answers 0 where it is there already, else 1, then for each lane that has messages which it will
 * read: lane, last entry. While these are counted by type, "counting" keeps them from being trimmed.
 */
export const groupScript = scriptOf(
  'refused',
  preludeLua,
  `
local group, text, start, lives = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if lives ~= '' then redis.call('SET', base .. ':g:' .. group .. ':alive', 1, 'PX', lives) end
if redis.call('HEXISTS', base .. ':groups', group) == 1 then return { 0 } end
local meta = redis.call('HMGET', base .. ':channel', 'lanes', 'urgent')
redis.call('HSET', base .. ':groups', group, text)
local answer = { 1 }
for lane = 0, meta[1] + meta[2] - 1 do
  local stream = base .. ':s' .. lane
  redis.call('XGROUP', 'CREATE', stream, group, start == 'latest' and '$' or '0', 'MKSTREAM')
  local last = start ~= 'latest' and redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  if last then
    answer[#answer + 1] = lane
    answer[#answer + 1] = last[1]
  end
end
local counts = redis.call('HGETALL', base .. ':counts')
for at = 1, #counts, 2 do
  local event = string.match(counts[at], '^published%z(.*)%z$')
  if event then count('base', event, group, -tonumber(counts[at + 1])) end
end
-- What was published before but waits for its time reaches it too.
for _, packed in ipairs(redis.call('HVALS', base .. ':delayed:m')) do
  local headers = cjson.decode(cmsgpack.unpack(packed)[2][2])
  count('base', headers['treaty-type'] or '', group, 1)
end
if #answer > 1 then redis.call('HSET', base .. ':counting', group, cjson.encode(answer)) end
ring('members')
return answer
`,
)

/** Ends the counting of what a new group found. ARGV: group, then event and number. */
export const countedScript = scriptOf(
  'goes on',
  preludeLua,
  `
if redis.call('HDEL', base .. ':counting', ARGV[1]) == 0 then return 0 end
for at = 2, #ARGV, 2 do count('base', ARGV[at], ARGV[1], tonumber(ARGV[at + 1])) end
return 1
`,
)

/**
 * Takes a group off a channel; its waiting messages count as expired. ARGV: group, 1 only if its connection is gone, 1 to take the
 * channel too when nothing keeps it. Answers 1 if the group went, and 1 if the channel went too.
 */
export const removeGroupScript = scriptOf(
  'goes on',
  preludeLua,
  `
local group = ARGV[1]
local g = base .. ':g:' .. group
local text = redis.call('HGET', base .. ':groups', group)
if not text then return { 0, 0 } end
if ARGV[2] == '1' and redis.call('EXISTS', g .. ':alive') == 1 then return { 0, 0 } end
local consumer = cjson.decode(text).consumer
local meta = redis.call('HMGET', base .. ':channel', 'lanes', 'urgent', 'retention')
local mine, published, keys = {}, {}, { g .. ':lanes', g .. ':members', g .. ':gauges', g .. ':alive' }
for lane = 0, meta[1] + meta[2] - 1 do
  if redis.call('EXISTS', base .. ':s' .. lane) == 1 then
    redis.call('XGROUP', 'DESTROY', base .. ':s' .. lane, group)
  end
  keys[#keys + 1] = g .. ':a' .. lane
  keys[#keys + 1] = g .. ':orders' .. lane
end
for _, key in ipairs(keys) do redis.call('DEL', key) end
redis.call('HDEL', base .. ':groups', group)
redis.call('HDEL', base .. ':counting', group)
local counts = redis.call('HGETALL', base .. ':counts')
for at = 1, #counts, 2 do
  local counter, event, whose = string.match(counts[at], '^(%a+)%z(.*)%z([^%z]*)$')
  if counter == 'published' then published[event] = tonumber(counts[at + 1]) end
  if whose == group then
    mine[event] = mine[event] or {}
    mine[event][counter] = tonumber(counts[at + 1])
    redis.call('HDEL', base .. ':counts', counts[at])
  end
end
for event in pairs(published) do mine[event] = mine[event] or {} end
for event, row in pairs(mine) do
  local deliveries = (published[event] or 0) + (row.base or 0)
  local ended = 0
  for _, counter in ipairs({ 'handled', 'skipped', 'dead', 'expired' }) do
    ended = ended + (row[counter] or 0)
    count(counter, event, '!' .. consumer, row[counter] or 0)
  end
  count('retried', event, '!' .. consumer, row.retried or 0)
  count('expired', event, '!' .. consumer, deliveries - ended)
  count('deliveries', event, '!' .. consumer, deliveries)
end
ring('members')
local goes = ARGV[3] == '1' and meta[3] == '' and redis.call('HLEN', base .. ':groups') == 0
return { 1, goes and 1 or 0 }
`,
)

/**
 * Takes a channel away with its messages. Answers -1 while a group reads it, else its counts, which are kept elsewhere from
 * then on. Dead letters stay.
 */
export const removeChannelScript = scriptOf(
  'goes on',
  preludeLua,
  `
local meta = redis.call('HMGET', base .. ':channel', 'lanes', 'urgent')
if not meta[1] then return {} end
if redis.call('HLEN', base .. ':groups') > 0 then return -1 end
local counts = redis.call('HGETALL', base .. ':counts')
local names = { ':channel', ':groups', ':counts', ':counting', ':delayed', ':delayed:m', ':idle', ':upkeep' }
for lane = 0, meta[1] + meta[2] - 1 do names[#names + 1] = ':s' .. lane end
for _, name in ipairs(names) do redis.call('DEL', base .. name) end
ring('members')
redis.call('EXPIRE', base .. ':bell', 60)
return counts
`,
)
