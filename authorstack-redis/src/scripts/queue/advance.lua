-- Adds the job after one of a schedule that was taken. ARGV: the time, the schedule's id, the job that was
-- taken, the options of the next one without their closing brace, the id as JSON without quotes, the
-- next moment of a pattern or '', and the priority. Answers 1 where a job was added.
local now, id, taken = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local key = REPEAT .. ':' .. id
local previous = tonumber(call('ZSCORE', REPEAT, id) or nil)
if not previous or taken ~= 'repeat:' .. id .. ':' .. digits(previous) then
  return 0
end
local found = call('HMGET', key, 'name', 'data', 'every', 'limit', 'endDate', 'ic')
if not found[1] then
  -- A repeatable job of an old BullMQ: only that version goes on with it.
  return -1
end
local every, limit, ends = tonumber(found[3]), tonumber(found[4]), tonumber(found[5])
if (limit and (tonumber(found[6]) or 1) >= limit) or (ends and now > ends) then
  return 0
end
local next = tonumber(ARGV[6])
if every then
  next = previous + every
  if next < now then
    next = next + math.ceil((now - next) / every) * every
  end
end
if not next then
  return 0
end
local job = 'repeat:' .. id .. ':' .. digits(next)
if call('EXISTS', BASE .. job) == 1 then
  event('duplicated', 'jobId', job)
  return 0
end
call('ZADD', REPEAT, digits(next), id)
call('HINCRBY', key, 'ic', 1)
call('INCR', ID)
local delay = math.max(next - now, 0)
local line = store({
  id = job,
  name = found[1],
  data = found[2] or '{}',
  opts = ARGV[4] .. ',"delay":' .. digits(delay) .. ',"jobId":"repeat:' .. ARGV[5] .. ':' .. digits(next)
    .. '","prevMillis":' .. digits(next) .. '}',
  now = now,
  delay = delay,
  priority = tonumber(ARGV[7]),
  scheduler = id,
})
call('HSET', BASE .. taken, 'nrjid', job)
trim_events()
if line == 'delayed' then
  wake_later()
else
  wake()
end
return 1
