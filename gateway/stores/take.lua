-- Takes a token from a bucket. KEYS: 1 when it will be full again (microseconds).
-- ARGV: 1 the interval of one token (microseconds), 2 the burst. Answers: the wait, 0 for taken.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval = tonumber(ARGV[1])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or now))
local wait = full - now - interval * (tonumber(ARGV[2]) - 1)
if wait > 0 then
  return math.ceil(wait)
end
full = full + interval
redis.call('SET', KEYS[1], string.format('%.0f', full),
  'PX', string.format('%.0f', math.ceil((full - now) / 1000) + 1))
return 0
