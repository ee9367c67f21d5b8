-- Records a session. ARGV: 16 the access token's life, 17 and 18 its id and expiry.
-- Answers: when it was recorded, the user's not-before.
see_access_life(tonumber(ARGV[16]))
local record = read() or adopt()
if ARGV[17] ~= '' and not record.is_revoked then
  remember_access(record, ARGV[17], ARGV[18])
end
return {record.rotated_at, not_before()}
