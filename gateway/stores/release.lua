-- Gives a lease back. KEYS: 1 the session's hash. ARGV: 1 the owner, 2 until when it may yet be
-- taken (ms), 0 where it was.
if redis.call('HGET', KEYS[1], 'o') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'l', 'o')
  return 'done'
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
return now <= tonumber(ARGV[2]) and 'early' or 'done'
