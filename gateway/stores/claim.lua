-- Takes the right to spend a token at the upstream. KEYS: 5 the answer that is kept for it.
-- ARGV: 16 the lease (ms), 17 its owner, 18 until when the caller waits for an answer (ms).
-- Answers: verdict, generation, the answer that is kept.
if is_late(ARGV[18]) then
  return late
end
local record = read()
local verdict = judge(record)
if verdict == 'revoked' then
  return {verdict, 0, ''}
end
local kept = redis.call('GET', KEYS[5])
-- However long it is kept: of an older token it is nobody's business any more.
if kept and (not record or record.generation <= generation + 1) then
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
redis.call('HSET', KEYS[4], 'l', text(now + tonumber(ARGV[16])), 'o', ARGV[17])
return {'rotated', math.max(record.generation, generation), ''}
