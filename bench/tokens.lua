-- wrk script: every request carries the next token of the file named by the first argument after
-- `--`, and where the second is not 0 posts so many bytes; where the third is not 0 wrk ends with
-- that many requests sent, before its time is over. At the end one line of JSON says what was
-- counted.

local requests, position, sent, most = {}, 0, 0, 0

function init(args)
  local method, headers, body = "GET", {}, nil
  most = tonumber(args[3])
  if tonumber(args[2]) > 0 then
    method, body = "POST", string.rep("x", tonumber(args[2]))
    headers["Content-Type"] = "application/octet-stream"
  end
  for token in io.lines(args[1]) do
    headers["Authorization"] = "Bearer " .. token
    requests[#requests + 1] = wrk.format(method, nil, headers, body)
  end
end

function request()
  if most > 0 and sent == most then
    io.write(string.format('\n{"requests": %d}\n', sent))
    io.flush()
    os.exit(0)  -- wrk itself would sleep until its time is over
  end
  sent = sent + 1
  position = position % #requests + 1
  return requests[position]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "duration_us": %d, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
