import { placeLua } from './publish-script.ts'
import { lettersLua, preludeLua, scriptOf } from './script.ts'

/** Puts delayed messages whose time has come into their lanes. ARGV: how many at most. Answers the next time, or ''. */
export const dueScript = scriptOf(
  'goes on',
  preludeLua,
  `
local now, touched = now_ms(), {}
local due = redis.call('ZRANGEBYSCORE', base .. ':delayed', '-inf', whole(now), 'LIMIT', 0, ARGV[1])
for _, member in ipairs(due) do
  local packed = redis.call('HGET', base .. ':delayed:m', member)
  if packed then
    local message = cmsgpack.unpack(packed)
    redis.call('XADD', base .. ':s' .. message[1], '*', unpack(message[2]))
    touched[message[1]] = true
  end
  redis.call('HDEL', base .. ':delayed:m', member)
  redis.call('ZREM', base .. ':delayed', member)
end
ring_idle(touched)
return redis.call('ZRANGE', base .. ':delayed', 0, 0, 'WITHSCORES')[2] or ''
`,
)

/**
 * What nobody waits for: frees messages that every group is done with and whose retention is over, ends dead letters whose time is over, and
 * names the ephemeral groups whose connection is gone. ARGV: milliseconds in which only one process does this.
 */
export const upkeepScript = scriptOf(
  'goes on',
  preludeLua,
  lettersLua,
  placeLua,
  `
if not ordering then return {} end
if not redis.call('SET', base .. ':upkeep', 1, 'NX', 'PX', ARGV[1]) then return {} end
local now = now_ms()
local function next_id(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return ms .. '-' .. whole(tonumber(seq) + 1)
end
local function is_before(one, other)
  local ms, seq = string.match(one, '^(%d+)-(%d+)$')
  local other_ms, other_seq = string.match(other, '^(%d+)-(%d+)$')
  if ms ~= other_ms then return tonumber(ms) < tonumber(other_ms) end
  return tonumber(seq) < tonumber(other_seq)
end
if redis.call('HLEN', base .. ':counting') == 0 then
  for lane = 0, lanes + urgent - 1 do
    local stream = base .. ':s' .. lane
    if redis.call('EXISTS', stream) == 1 and redis.call('XLEN', stream) > 0 then
      local keep_from = whole(now - (tonumber(retention) or 0)) .. '-0'
      if retention == '' then keep_from = '18446744073709551615-0' end
      for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
        local first = next_id(info[8])
        if info[6] > 0 then first = redis.call('XPENDING', stream, info[2])[2] end
        if is_before(first, keep_from) then keep_from = first end
      end
      redis.call('XTRIM', stream, 'MINID', keep_from)
    end
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':dead:until', '-inf', whole(now), 'LIMIT', 0, 200)) do
  local letter = find_letter(id)
  if letter then
    local summary = cjson.decode(letter.summary)
    if type(summary.group) == 'string' and summary.lane then
      order_blocked(summary.group, whole(summary.lane), summary.entry, 'discard')
    end
    drop_letter(id, letter.combo)
  end
  redis.call('ZREM', base .. ':dead:until', id)
end
local gone = {}
local groups = redis.call('HGETALL', base .. ':groups')
for at = 1, #groups, 2 do
  local is_ephemeral = cjson.decode(groups[at + 1]).ephemeral
  if is_ephemeral and redis.call('EXISTS', base .. ':g:' .. groups[at] .. ':alive') == 0 then
    gone[#gone + 1] = groups[at]
  end
end
return gone
`,
)
