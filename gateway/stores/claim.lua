-- Takes the right to spend a token at the upstream. KEYS: 5 the answer that is kept for it.
-- ARGV: 16 the lease (ms). Answers: verdict, generation, the lease's owner or the answer.
local record = read()
local verdict = judge(record)
if verdict == 'revoked' then
  return {verdict, 0, ''}
end
local kept = redis.call('GET', KEYS[5])
if kept then
  return {'replayed', record and record.generation or generation, kept}
end
if verdict == 'reused' then
  revoke(record)
  return {verdict, record.generation, ''}
end
if not record then
  record = adopt()
end
if now < tonumber(redis.call('HGET', KEYS[4], 'l') or 0) then
  return {'current', record.generation, ''}
end
-- Two leases of one session are never taken in the same microsecond.
local owner = clock[1] .. '.' .. clock[2]
redis.call('HSET', KEYS[4], 'l', text(now + tonumber(ARGV[16])), 'o', owner)
return {'rotated', math.max(record.generation, generation), owner}
