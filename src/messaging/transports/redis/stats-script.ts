import { preludeLua, scriptOf } from './script.ts'

/**
 * What there is to know of a channel. Answers counts as pairs, then for each group: name, description, delayed, and for each lane: gauge of a
 * living owner or '', messages of a lane without one that wait for their time, time of its oldest message that was handed to no
 * one yet or ''.
 */
export const statsScript = scriptOf(
  'goes on',
  preludeLua,
  `
local meta = redis.call('HMGET', base .. ':channel', 'lanes', 'urgent')
local now = now_ms()
local answer = { redis.call('HGETALL', base .. ':counts') }
if not meta[1] then return answer end
local later = redis.call('ZCOUNT', base .. ':delayed', '(' .. whole(now), '+inf')
local groups = redis.call('HGETALL', base .. ':groups')
local unread = {}
for lane = 0, meta[1] + meta[2] - 1 do
  local stream = base .. ':s' .. lane
  if redis.call('EXISTS', stream) == 1 then
    for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      local first = redis.call('XRANGE', stream, '(' .. info[8], '+', 'COUNT', 1)[1]
      unread[lane .. ' ' .. info[2]] = first and string.match(first[1], '^%d+') or ''
    end
  end
end
for at = 1, #groups, 2 do
  local group = groups[at]
  local g, lanes = base .. ':g:' .. group, {}
  for lane = 0, meta[1] + meta[2] - 1 do
    local row = redis.call('HGET', g .. ':lanes', lane)
    local gauge = row and redis.call('HGET', g .. ':gauges', lane)
    local token, _, expires = string.match(row or '', '^([^|]*)|([^|]*)|([^|]*)|')
    local text, waiting = '', 0
    if gauge and tonumber(expires) > now and string.sub(gauge, 1, #token + 1) == token .. '|' then
      text = string.sub(gauge, #token + 2)
    else
      for _, state in ipairs(redis.call('HVALS', g .. ':a' .. lane)) do
        local due = cjson.decode(state).dueAt
        if due and due > now then waiting = waiting + 1 end
      end
    end
    lanes[#lanes + 1] = { text, waiting, unread[lane .. ' ' .. group] or '' }
  end
  answer[#answer + 1] = { group, groups[at + 1], later, lanes }
end
return answer
`,
)
