-- Spends a token. ARGV: 16 the caller's clock, 17 the call's mark, 18 until when the caller waits
-- for an answer (ms).
-- Answers: verdict, generation of the successor, when it is issued, absolute end.
if is_late(ARGV[18]) then
  return late
end
local record = read()
local verdict = judge(record)

local function answer(number, at, ends)
  return {verdict, number, at, ends or -1}
end

if verdict == 'revoked' then
  return answer(0, 0)
end
if verdict == 'reused' then
  revoke(record)
end
if verdict == 'replayed' and record.mark then
  redis.call('HDEL', KEYS[4], 'm')  -- two have the successor: it can't be taken back
end
if verdict == 'reused' or verdict == 'replayed' then
  return answer(record.generation, record.rotated_at - record.dated_back, record.ends_at)
end
if not record then
  record = adopt()
end
if not is_single then
  see_access_life(access_life)
end
if verdict == 'current' then
  if is_single then
    remain(renewed(record.ends_at))
  end
  return answer(record.generation, now - behind(ARGV[16]), record.ends_at)
end
local successor = math.max(record.generation, generation) + 1
local dated_back = behind(ARGV[16])
redis.call('HSET', KEYS[4], 'g', text(successor), 'r', text(now), 'm', ARGV[17],
  'p', text(record.rotated_at))
if dated_back > 0 then
  redis.call('HSET', KEYS[4], 'd', text(dated_back))
elseif record.dated_back > 0 then
  redis.call('HDEL', KEYS[4], 'd')
end
remain(renewed(record.ends_at))
if is_single and detects_reuse then
  local overlap = math.max(grace, 0)
  see_access_life(life)
  append('g', id, now + longest_access_life() + overlap, now + overlap, successor)
end
return answer(successor, now - dated_back, record.ends_at)
