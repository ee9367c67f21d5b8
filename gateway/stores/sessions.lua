-- Some of a user's sessions that stand: those on one page of the keys. KEYS: 1 the user's not-before.
-- ARGV: 1 the cursor, 2 what keys of the user's sessions begin with, 3 the user, 4 keys a page.
-- Answers: the next cursor, then for each session its id, when it began (s), its generation, when
--          that was issued (ms), and how long it is kept (ms).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local stored = tonumber(redis.call('GET', KEYS[1]) or 0)
local dead, is_followed = math.floor(stored), stored % 1 > 0

-- In its very second a login is younger than the end of all where that was written down.
local function is_dead(issued)
  return dead > 0 and issued <= dead - (is_followed and 2 or 0)
end

local page = redis.call('SCAN', ARGV[1], 'MATCH', ARGV[2] .. '*', 'COUNT', ARGV[4])
local answer = {page[1]}
for _, key in ipairs(page[2]) do
  local fields = redis.call('HMGET', key, 'u', 'c', 'g', 'r', 'd', 'e', 'x')
  if fields[1] == ARGV[3] and fields[7] ~= '1' and now < (tonumber(fields[6] or '') or math.huge) then
    local issued = tonumber(fields[4]) - tonumber(fields[5] or 0)
    if not is_dead(math.floor(issued / 1000)) then
      local id = string.sub(key, string.len(ARGV[2]) + 1)
      answer[#answer + 1] = {id, tonumber(fields[2]), tonumber(fields[3]), issued,
        redis.call('PTTL', key)}
    end
  end
end
return answer
