-- Keeps an answer no longer than that. KEYS: 1 the answer. ARGV: 1 for how long (ms).
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return 1
