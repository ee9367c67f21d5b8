-- Records what came of a claim. Answers: 1 where it is good, 0 where the session was ended.
-- KEYS: 5 the answer that is kept, 6 the successor's session.
-- ARGV: 16 the owner, 17 the answer, 18 '1' where there is a successor, 19 its life (ms),
--       20 and 21 the access token's id and expiry, 22 how long the answer is kept (ms)
local record = read() or adopt()
redis.call('SET', KEYS[5], ARGV[17], 'PX', ARGV[22])
if redis.call('HGET', KEYS[4], 'o') == ARGV[16] then
  redis.call('HDEL', KEYS[4], 'l', 'o')
end
if is_dead() and not record.is_revoked then  -- all of the user was ended while the upstream was asked
  revoke(record)
  record.is_revoked = true
end
if ARGV[18] == '1' then
  local reached = math.max(record.generation, generation + 1)
  if reached > record.generation then  -- else it was told before
    redis.call('HSET', KEYS[4], 'g', text(reached), 'r', text(now))
  end
  redis.call('SET', KEYS[6], text(reached) .. ' ' .. id, 'PX', text(math.max(life, 1)))
end
remain(math.max(renewed(record.ends_at), life))
if ARGV[20] ~= '' then
  if record.is_revoked then
    see_access_life(tonumber(ARGV[21]) * 1000 - now)
    append('s', ARGV[20], math.max(tonumber(ARGV[21]) * 1000, now + longest_access_life()), 0, 0)
  else
    remember_access(record, ARGV[20], ARGV[21])
  end
end
return record.is_revoked and 0 or 1
