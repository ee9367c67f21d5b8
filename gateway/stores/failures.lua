-- Answers: how many failures are counted, and how long the name is barred (ms).
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local fields = redis.call('HMGET', KEYS[1], 'n', 'b')
return {tonumber(fields[1] or 0), math.max(0, tonumber(fields[2] or 0) - now)}
