-- Takes a rotation back whose answer was lost: nobody has its successor, and the token that was
-- spent may come again at any time. ARGV: 16 the rotation's mark, 17 its deadline (ms).
local record = read()
if not record or record.mark ~= ARGV[16] then  -- not done, undone, or somebody has got it since
  return now <= tonumber(ARGV[17]) and 'early' or 'done'
end
if not record.is_revoked then
  redis.call('HSET', KEYS[4], 'g', text(generation), 'r', text(record.rotated_before))
  if is_single and detects_reuse then
    local overlap = math.max(grace, 0)
    append('b', id, now + longest_access_life() + overlap, record.rotated_before + overlap,
      generation)
  end
end
redis.call('HDEL', KEYS[4], 'd', 'm', 'p')
return 'done'
