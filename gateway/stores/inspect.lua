-- Whether a token stands; writes nothing.
local verdict = judge(read())
if verdict == 'revoked' or verdict == 'reused' then
  return verdict
end
return 'current'
