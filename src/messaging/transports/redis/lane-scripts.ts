import { lettersLua, preludeLua, scriptOf } from './script.ts'

/** A lane's row: `token|owner|expires|suspect`. Tokens are compared for equality: a lost counter cannot issue one again. */
const rowLua = `
local group = ARGV[1]
local g = base .. ':g:' .. group
local function row_of(lane)
  local text = redis.call('HGET', g .. ':lanes', lane)
  if not text then return nil end
  local token, owner, expires, suspect = string.match(text, '^([^|]*)|([^|]*)|([^|]*)|(.*)$')
  return { token = token, owner = owner, expires = tonumber(expires), suspect = suspect }
end
local function write_row(lane, row)
  redis.call('HSET', g .. ':lanes', lane,
    row.token .. '|' .. row.owner .. '|' .. whole(row.expires) .. '|' .. row.suspect)
end
`

/**
 * Heartbeat of one member of a group on one channel. ARGV: group, member, lease in ms, 1 to be a member (0: it is leaving),
 * prefix of fresh tokens, 1 to look for what others wrote into lanes, then for each gauge: lane, token, text. Answers: quota, next time at
 * which a delayed message is due or '', the server's time, then for each own lane: lane, token, suspect, 1 if there may be more to read. Nothing
 * at all where the group is not there.
 */
export const beatScript = scriptOf(
  'goes on',
  preludeLua,
  rowLua,
  `
local member, ttl, joins, fresh, looks = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local meta = redis.call('HMGET', base .. ':channel', 'lanes', 'urgent')
if not meta[1] or redis.call('HEXISTS', base .. ':groups', group) == 0 then return {} end
local total = tonumber(meta[1]) + tonumber(meta[2])
local now = now_ms()
local members = g .. ':members'
local changed = redis.call('ZREMRANGEBYSCORE', members, '-inf', whole(now)) > 0
if joins == '1' then
  changed = redis.call('ZADD', members, whole(now + ttl), member) == 1 or changed
end
local ids, rank = redis.call('ZRANGE', members, 0, -1), nil
table.sort(ids)
for at, id in ipairs(ids) do if id == member then rank = at - 1 end end
local quota = 0
if rank then
  quota = math.floor(total / #ids)
  if rank < total % #ids then quota = quota + 1 end
end
local mine, free = {}, {}
for lane = 0, total - 1 do
  local row = row_of(lane)
  if row and row.owner == member then
    row.expires = now + ttl
    write_row(lane, row)
    mine[#mine + 1] = { lane, row }
  elseif not row then
    free[#free + 1] = { lane, '0' }
  elseif row.expires <= now then
    free[#free + 1] = { lane, '1' }
  end
end
for at = 1, math.min(#free, quota - #mine) do
  local lane, suspect = free[at][1], free[at][2]
  local number = redis.call('HINCRBY', base .. ':channel', 'tokens', 1)
  local row = { token = fresh .. '.' .. whole(number), owner = member, expires = now + ttl, suspect = suspect }
  write_row(lane, row)
  redis.call('HDEL', g .. ':gauges', lane)
  mine[#mine + 1] = { lane, row }
end
for at = 7, #ARGV, 3 do
  local row = row_of(ARGV[at])
  if row and row.token == ARGV[at + 1] then
    redis.call('HSET', g .. ':gauges', ARGV[at], ARGV[at + 1] .. '|' .. ARGV[at + 2])
  end
end
if changed and (#ids > 1 or joins == '0') then ring('members') end
local due = redis.call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')
local answer = { quota, due[2] or '', now }
for _, one in ipairs(mine) do
  local lane, row = one[1], one[2]
  local more = redis.call('HEXISTS', base .. ':idle', lane) == 0
  if not more and looks == '1' and redis.call('EXISTS', base .. ':s' .. lane) == 1 then
    local last
    for _, info in ipairs(redis.call('XINFO', 'GROUPS', base .. ':s' .. lane)) do
      if info[2] == group then last = info[8] end
    end
    if last then more = redis.call('XREAD', 'COUNT', 1, 'STREAMS', base .. ':s' .. lane, last) ~= false end
  end
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = lane, row.token, row.suspect, more and 1 or 0
end
return answer
`,
)

/** Gives lanes back in good order. ARGV: group, then lane and token of each. */
export const releaseScript = scriptOf(
  'goes on',
  preludeLua,
  rowLua,
  `
local given = 0
for at = 2, #ARGV, 2 do
  local row = row_of(ARGV[at])
  if row and row.token == ARGV[at + 1] then
    redis.call('HDEL', g .. ':lanes', ARGV[at], 'n' .. ARGV[at])
    redis.call('HDEL', g .. ':gauges', ARGV[at])
    given = given + 1
  end
end
if given > 0 then ring('members') end
return given
`,
)

/** Is no member any more; its lanes stay its own until it gives them back. ARGV: group, member. */
export const leaveScript = scriptOf(
  'goes on',
  preludeLua,
  rowLua,
  `
local gone = redis.call('ZREM', g .. ':members', ARGV[2])
if gone == 1 then ring('members') end
return gone
`,
)

/**
 * Settles and reads in one step. ARGV: group, lane, token, number of this turn or '' without changes, how many to read, where from (`>`, or
 * the entry after which to look among the pending ones), bytes to read at most; then the changes, each list after its length: entries that
 * ended; entry and state of those that stay; entry of orders that were carried out; counter, event and amount;
 * letters as id, score, combination, summary, more, entry, time until which it is kept.
 *
 * Answers: `FENCED`, or 1 if nothing is left to read, entries, states of those that were pending, orders. Each entry is three values: id, head
 * and body of what Treaty wrote, else id, fields and ''. A turn that comes again under its number only reads.
 */
export const turnScript = scriptOf(
  'goes on',
  preludeLua,
  lettersLua,
  rowLua,
  `
local lane, token, turn = ARGV[2], ARGV[3], ARGV[4]
local room, cursor, bytes_max = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local stream, states_key, orders_key = base .. ':s' .. lane, g .. ':a' .. lane, g .. ':orders' .. lane
local row = row_of(lane)
if not row or row.token ~= token then return { 'FENCED' } end

local at = 8
local function next_list(width)
  local amount = tonumber(ARGV[at])
  local first = at + 1
  at = first + amount * width
  return first, at - 1
end
-- A call takes some thousand arguments at most.
local function in_parts(first, last, command, ...)
  for from = first, last, 1000 do
    local call = { command, ... }
    for one = from, math.min(from + 999, last) do call[#call + 1] = ARGV[one] end
    redis.call(unpack(call))
  end
end
if turn ~= '' and redis.call('HGET', g .. ':lanes', 'n' .. lane) ~= token .. ':' .. turn then
  local ended, ended_last = next_list(1)
  local kept, kept_last = next_list(2)
  local done, done_last = next_list(1)
  local counts, counts_last = next_list(3)
  local letters, letters_last = next_list(7)
  for one = letters, letters_last, 7 do
    local found = redis.call('XRANGE', stream, ARGV[one + 5], ARGV[one + 5])
    local fields = found[1] and found[1][2] or {}
    keep_letter(ARGV[one], ARGV[one + 1], ARGV[one + 2], ARGV[one + 3], ARGV[one + 4], fields, ARGV[one + 6])
  end
  if ended_last >= ended then
    in_parts(ended, ended_last, 'XACK', stream, group)
    in_parts(ended, ended_last, 'HDEL', states_key)
  end
  in_parts(kept, kept_last, 'HSET', states_key)
  in_parts(done, done_last, 'HDEL', orders_key)
  for one = counts, counts_last, 3 do count(ARGV[one], ARGV[one + 1], group, tonumber(ARGV[one + 2])) end
  redis.call('HSET', g .. ':lanes', 'n' .. lane, token .. ':' .. turn)
end

local entries, amount, states, size, is_empty = {}, 0, {}, 0, 0
local chunk = math.min(room, 16)
while amount < room and size < bytes_max do
  local reply = redis.pcall('XREADGROUP', 'GROUP', group, 'owner', 'COUNT', chunk, 'STREAMS', stream, cursor)
  if reply and reply.err then
    if not string.find(reply.err, 'NOGROUP', 1, true) then return reply end
    -- Somebody has deleted the stream: what was in it is gone, what comes is not.
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
    break
  end
  local found = reply and reply[1] and reply[1][2] or {}
  for _, entry in ipairs(found) do
    local fields = entry[2]
    if fields then
      local first, second = fields, ''
      if #fields == 4 and fields[1] == 'treaty' and fields[3] == 'body' then
        first, second = fields[2], fields[4]
      end
      entries[3 * amount + 1], entries[3 * amount + 2], entries[3 * amount + 3] = entry[1], first, second
      amount = amount + 1
      -- What others wrote has its content anywhere.
      size = size + #fields[2] + #(fields[4] or '')
      if cursor ~= '>' then states[amount] = redis.call('HGET', states_key, entry[1]) or '' end
    else
      -- Somebody has deleted it from the stream.
      redis.call('XACK', stream, group, entry[1])
    end
  end
  if #found < chunk then
    is_empty = 1
    break
  end
  if cursor ~= '>' then cursor = found[#found][1] end
  local average = size / math.max(1, amount)
  chunk = math.max(1, math.min(room - amount, math.floor((bytes_max - size) / math.max(1, average)), 1000))
end
if room > 0 and is_empty == 1 and cursor == '>' and redis.call('HEXISTS', base .. ':idle', lane) == 0 then
  redis.call('HSET', base .. ':idle', lane, 1)
end
return { is_empty, entries, states, redis.call('HGETALL', orders_key) }
`,
)
