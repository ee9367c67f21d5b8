-- Gives a lease back. KEYS: 1 the session's hash. ARGV: 1 the owner.
if redis.call('HGET', KEYS[1], 'o') == ARGV[1] then
  return redis.call('HDEL', KEYS[1], 'l', 'o')
end
return 0
