-- Whether a token stands; writes nothing.
local verdict = judge(read())
if verdict == 'revoked' or verdict == 'reused' or (verdict == 'replayed' and detects_reuse) then
  return verdict
end
return 'current'
