import { placeLua } from './publish-script.ts'
import { lettersLua, preludeLua, scriptOf } from './script.ts'

/** ARGV: id. Answers summary, more, fields; or nothing. */
export const getLetterScript = scriptOf(
  'goes on',
  preludeLua,
  lettersLua,
  `
local letter = find_letter(ARGV[1])
if not letter then return {} end
local packed = redis.call('HGET', base .. ':dead:contents', ARGV[1])
local contents = packed and cmsgpack.unpack(packed) or { '{}', {} }
return { letter.summary, contents[1], contents[2] }
`,
)

/**
 * Keeps what never became a message. ARGV: id, score, combination, summary, more, time until which it is kept, event, group or '', then the
 * fields. The same id again is one letter.
 */
export const putLetterScript = scriptOf(
  'refused',
  preludeLua,
  lettersLua,
  `
if find_letter(ARGV[1]) then return 0 end
keep_letter(ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], { unpack(ARGV, 9) }, ARGV[6])
count('dead', ARGV[7], ARGV[8], 1)
if ARGV[8] ~= '' then count('base', ARGV[7], ARGV[8], 1) end
return 1
`,
)

/** ARGV: id, group or '', lane or '', entry or ''. Answers 1 if there was one. */
export const discardScript = scriptOf(
  'goes on',
  preludeLua,
  lettersLua,
  `
local letter = find_letter(ARGV[1])
if not letter then return 0 end
order_blocked(ARGV[2], ARGV[3], ARGV[4], 'discard')
drop_letter(ARGV[1], letter.combo)
return 1
`,
)

/**
 * ARGV: id, group or '', lane or '', entry or '', hash, 1 if it has a key. Under onDead block the owner of the lane runs it in its place; else it
 * goes to the lane's tail, for its group alone; a letter without a group is published anew. Answers 1, 0 if there is no such letter,
 * -1 without the group, -2 without the channel.
 */
export const replayScript = scriptOf(
  'goes on',
  preludeLua,
  lettersLua,
  placeLua,
  `
local group = ARGV[2]
local letter = find_letter(ARGV[1])
if not letter then return 0 end
if group ~= '' and redis.call('HEXISTS', base .. ':groups', group) == 0 then return -1 end
if not ordering then return -2 end
local summary = cjson.decode(letter.summary)
local counted = summary.counted or 'dead'
if not order_blocked(group, ARGV[3], ARGV[4], 'replay') then
  local packed = redis.call('HGET', base .. ':dead:contents', ARGV[1])
  local fields = packed and cmsgpack.unpack(packed)[2] or {}
  -- A replay has no time to live, and is for its own group alone. All values in there are texts.
  local headers = cjson.decode(fields[2] or '{}')
  headers['treaty-expires-at'], headers['treaty-deliver-at'], headers[':to'] = nil, nil, nil
  if group ~= '' then headers[':to'] = group end
  fields[1], fields[2] = 'treaty', cjson.encode(headers)
  local lane = tonumber(ARGV[3]) or lane_of(tonumber(ARGV[5]), ARGV[6] == '1', false)
  if group ~= '' or keeps() then
    redis.call('XADD', base .. ':s' .. lane, '*', unpack(fields))
    ring_idle({ [lane] = true })
  end
end
if group == '' then count('published', summary.event, '', 1) end
count(counted, summary.event, group, -1)
drop_letter(ARGV[1], letter.combo)
return 1
`,
)
