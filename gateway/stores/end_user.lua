-- Ends all that was issued to a user. ARGV: 16 until when, in epoch seconds; '' for now.
local since = math.floor(now / 1000)
since = math.min(since, tonumber(ARGV[16]) or since)
local before, is_followed = not_before()
if before >= since and is_followed and ARGV[16] == '' then
  since = before + 1  -- that login is ended too
end
local dead = math.max(since, before)
local alive = longest_access_life()
-- How long the user's tokens live that were never seen here, nobody can tell: a year, at most.
local year = 366 * 86400000
append('u', user, now + alive, dead * 1000, 0)  -- first: where it is refused, nothing is done
local kept = text(dead)
if is_followed and dead == before then
  kept = kept .. '.5'  -- told again: the login behind it stays, and the next end must reach it
end
redis.call('SET', KEYS[1], kept, 'PX', text(math.max(record_life, alive, year)))
return dead
