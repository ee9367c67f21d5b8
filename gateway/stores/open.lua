-- Records a session. ARGV: 16 the access token's life, 17 and 18 its id and expiry,
--       19 the caller's clock (ms). Answers: when its tokens are issued, the user's not-before.
see_access_life(tonumber(ARGV[16]))
local record = read() or adopt()
if ARGV[17] ~= '' and not record.is_revoked then
  remember_access(record, ARGV[17], ARGV[18])
end
local issued, dead = record.rotated_at - behind(ARGV[19]), not_before()
if dead >= math.floor(issued / 1000) then  -- the next end of all must reach this login
  redis.call('SET', KEYS[1], text(dead) .. '.5', 'KEEPTTL')
end
return {issued, dead}
