-- Ends all that was issued to a user. ARGV: 16 until when, in epoch seconds; '' for now.
local since = math.floor(now / 1000)
since = math.min(since, tonumber(ARGV[16]) or since)
local dead = math.max(since, not_before())
local longest = longest_access_life()
redis.call('SET', KEYS[1], text(dead), 'PX', text(math.max(record_life, longest, 1)))
append('u', user, now + longest, since * 1000, 0)
return dead
