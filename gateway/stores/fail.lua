-- Counts a failure. KEYS: 1 hash: n how many, b barred until (ms).
-- ARGV: 1 limit, 2 window, 3 first bar, 4 longest bar (ms). Answers: how long it is barred (ms).
-- The window begins with the first failure; from the limit on, quiet is waited for.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local count = redis.call('HINCRBY', KEYS[1], 'n', 1)
local bar = 0
if count >= limit then
  bar = math.min(tonumber(ARGV[3]) * 2 ^ math.min(count - limit, 40), tonumber(ARGV[4]))
  redis.call('HSET', KEYS[1], 'b', string.format('%.0f', now + bar))
end
if count == 1 or count >= limit then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.max(window + bar, 1)))
end
return math.floor(bar)
