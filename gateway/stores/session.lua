-- What all scripts of sessions share; it is put in front of each of them. The rule is `judge`.
-- KEYS: 1 the user's not-before (epoch seconds), 2 the log, 3 the longest access life (ms),
--       4 the session's hash
-- hash: g generation, r rotated at, d how far before that its token is dated, e absolute end (ms),
--       m that rotation's mark while nobody else has got its successor, p the rotation before it,
--       u user, c began at (s), x revoked,
--       j access tokens that name no session (id:expiry, by tabs), l lease's end (ms), o its owner
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local generation, is_managed, issued_at = tonumber(ARGV[1]), ARGV[2] == '1', tonumber(ARGV[3])
local life, ends_at = tonumber(ARGV[4]), tonumber(ARGV[5])
local grace, record_life, access_life = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local rotates, detects_reuse, is_single = ARGV[9] == '1', ARGV[10] == '1', ARGV[11] == '1'
local issuer, user, id, retention = ARGV[12], ARGV[13], ARGV[14], tonumber(ARGV[15])

local function text(number)
  return string.format('%.0f', number)
end

-- Of a call whose caller has given it up meanwhile nothing may come: it would spend the token.
local late = {'late', clock[1], clock[2]}
local function is_late(deadline)
  return now > tonumber(deadline)
end

local function longest_access_life()
  return math.max(access_life, tonumber(redis.call('GET', KEYS[3]) or access_life))
end

-- Every life is kept for as long as tokens with it live, also where the settings change meanwhile;
-- for twice as long, so that it is seldom written.
local function see_access_life(seen)
  local known = tonumber(redis.call('GET', KEYS[3]) or 0)
  if seen > known or (seen > 0 and redis.call('PTTL', KEYS[3]) < seen) then
    local longest = math.max(seen, known)
    redis.call('SET', KEYS[3], text(longest), 'PX', text(2 * longest))
  end
end

local function append(kind, whose, until_, since, older_than)
  local horizon = now - math.max(retention, longest_access_life()) - math.max(grace, 0)
  local entry = table.concat(
    {kind, issuer, text(until_), text(since), text(older_than), whose}, '\t')
  redis.call('XADD', KEYS[2], 'MINID', '~', text(math.max(horizon, 0)), '*', 'r', entry)
end

local function read()
  local fields = redis.call('HMGET', KEYS[4], 'g', 'r', 'e', 'x', 'j', 'd', 'm', 'p')
  if not fields[1] then
    -- Does nothing, but a replica refuses it: that a session is unknown only a master can say.
    redis.call('DEL', KEYS[4])
    return nil
  end
  return {
    generation = tonumber(fields[1]), rotated_at = tonumber(fields[2]),
    ends_at = tonumber(fields[3] or ''), is_revoked = fields[4] == '1', access = fields[5] or '',
    dated_back = tonumber(fields[6] or 0),
    mark = fields[7], rotated_before = tonumber(fields[8] or 0),
  }
end

-- The user's not-before. What is stored is half a second more where a login was dated behind it.
local function not_before()
  local stored = tonumber(redis.call('GET', KEYS[1]) or 0)
  return math.floor(stored), stored % 1 > 0
end

local function is_dead()
  local dead = not_before()
  return dead > 0 and (not issued_at or issued_at <= dead)
end

local function judge(record)
  if is_dead() then
    return 'revoked'
  end
  if not record then
    if is_managed or (ends_at and now >= ends_at) then
      return 'revoked'
    end
    return rotates and 'rotated' or 'current'
  end
  if record.is_revoked or (record.ends_at and now >= record.ends_at) then
    return 'revoked'
  end
  if not rotates then
    return 'current'
  end
  local behind = record.generation - generation
  if behind <= 0 then
    return 'rotated'
  end
  if behind == 1 and now - record.rotated_at <= grace then
    return 'replayed'
  end
  return detects_reuse and 'reused' or 'rotated'
end

local function remain(least)  -- a record's life is never made shorter
  local left = math.max(least, redis.call('PTTL', KEYS[4]), 1)
  redis.call('PEXPIRE', KEYS[4], text(left))
end

local function renewed(ends)
  return ends and math.min(record_life, ends - now) or record_life
end

-- Tokens are judged by the clocks of gateways and upstreams: one whose clock is behind must not be
-- given a token from its future. Less than a second is covered by dating all tokens back.
local function behind(callers_clock)
  local gap = now - tonumber(callers_clock)
  return gap >= 1000 and gap or 0
end

local function adopt()
  local record = {generation = generation, rotated_at = now, dated_back = 0, ends_at = ends_at, access = ''}
  redis.call('HSET', KEYS[4], 'g', text(generation), 'r', text(now), 'u', user,
    'c', text(math.floor(now / 1000)))
  if ends_at then
    redis.call('HSET', KEYS[4], 'e', text(ends_at))
  end
  remain(math.max(life, renewed(ends_at)))
  return record
end

-- The access tokens that still live, the newest last; at most 8.
local function living(access)
  local kept = {}
  for token, expiry in string.gmatch(access, '([^\t]+):(%d+)') do
    if tonumber(expiry) * 1000 > now then
      kept[#kept + 1] = {token, tonumber(expiry)}
    end
  end
  while #kept > 8 do
    table.remove(kept, 1)
  end
  return kept
end

local function remember_access(record, token, expiry)
  see_access_life(tonumber(expiry) * 1000 - now)
  local words = {}
  for _, kept in ipairs(living(record.access .. '\t' .. token .. ':' .. expiry)) do
    words[#words + 1] = kept[1] .. ':' .. text(kept[2])
  end
  redis.call('HSET', KEYS[4], 'j', table.concat(words, '\t'))
end

local function revoke(record)
  if is_single then
    see_access_life(life)  -- the token that was presented is an access token
  end
  local alive = longest_access_life()
  append('s', id, now + alive, 0, 0)  -- first: where it is refused, nothing is done
  for _, kept in ipairs(living(record.access)) do
    append('s', kept[1], math.max(kept[2] * 1000, now + alive), 0, 0)
  end
  redis.call('HSET', KEYS[4], 'x', '1')
  redis.call('HDEL', KEYS[4], 'j', 'l', 'o')
  remain(math.max(renewed(record.ends_at), life, alive))
end
