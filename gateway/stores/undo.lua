-- Takes a rotation back whose answer was lost: nobody has its successor, and the token that was
-- spent may come again at any time. ARGV: 16 and 17 when that rotation was (ms, from and to).
local record = read()
if not record or record.is_revoked or record.generation ~= generation + 1
  or record.rotated_at < tonumber(ARGV[16]) or record.rotated_at > tonumber(ARGV[17]) then
  return 0
end
-- When the one before it was rotated is not known any more: its parent had its grace.
redis.call('HSET', KEYS[4], 'g', text(generation), 'r', '0')
redis.call('HDEL', KEYS[4], 'd')
if is_single and detects_reuse then
  local overlap = math.max(grace, 0)
  append('b', id, now + longest_access_life() + overlap, now + overlap, generation)
end
return 1
