-- Ends a session, by a token of it. ARGV: 16 '1' to end it unjudged, because it was ended before.
local record = read()
local verdict = ARGV[16] == '1' and 'current' or judge(record)
if verdict == 'revoked' and (record or is_dead()) then
  return verdict
end
revoke(record or adopt())
if verdict == 'revoked' or verdict == 'reused' then
  return verdict
end
return 'current'
