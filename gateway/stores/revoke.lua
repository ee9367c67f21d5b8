-- Ends a session by its id alone. Answers: 1 where it stood, and was this user's; else 0.
local record = read()
if not record or record.is_revoked or (record.ends_at and now >= record.ends_at)
  or redis.call('HGET', KEYS[4], 'u') ~= user then
  return 0
end
revoke(record)
return 1
