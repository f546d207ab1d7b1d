-- Creates or changes a schedule. ARGV: the time, id, name, data, the options of the template, those of
-- the job without its closing brace, the id as JSON without quotes, the next moment, then pattern, time
-- zone, interval, start, end and limit, each '' where there is none. Answers the next moment, or -1
-- where there is a job for it already.
local now, id, next = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[8])
local pattern, every = ARGV[9], tonumber(ARGV[11])
local key = REPEAT .. ':' .. id
local previous = tonumber(call('ZSCORE', REPEAT, id) or nil)
local old = call('HMGET', key, 'every', 'ic')
local made = tonumber(old[2]) or 0
local replaced = false
if previous then
  local pending = 'repeat:' .. id .. ':' .. digits(previous)
  if call('ZREM', DELAYED, pending) + call('ZREM', PRIORITIZED, pending) + call('LREM', WAIT, 1, pending)
    + call('LREM', PAUSED, 1, pending) > 0 then
    remove_keys(pending)
    event('removed', 'jobId', pending, 'prev', 'delayed')
    replaced = true
    if every and tonumber(old[1]) == every then
      -- An interval goes on as it was.
      next = previous
    end
  end
end
local job = 'repeat:' .. id .. ':' .. digits(next)
if call('EXISTS', BASE .. job) == 1 then
  if not every then
    return -1
  end
  for _ = 1, 1000 do
    next = next + every
    job = 'repeat:' .. id .. ':' .. digits(next)
    if call('EXISTS', BASE .. job) == 0 then
      break
    end
  end
end
if not replaced or made == 0 then
  made = made + 1
end
call('ZADD', REPEAT, digits(next), id)
call('DEL', key)
call('HSET', key, 'name', ARGV[3], 'ic', digits(made))
for at, field in pairs({ [9] = 'pattern', [10] = 'tz', [11] = 'every', [12] = 'startDate', [13] = 'endDate', [14] = 'limit' }) do
  if ARGV[at] ~= '' then
    call('HSET', key, field, ARGV[at])
  end
end
if every then
  call('HSET', key, 'offset', digits(next % every))
end
if ARGV[5] ~= '{}' then
  call('HSET', key, 'opts', ARGV[5])
end
if ARGV[4] ~= '{}' then
  call('HSET', key, 'data', ARGV[4])
end
call('INCR', ID)
local delay = math.max(next - now, 0)
local line = store({
  id = job,
  name = ARGV[3],
  data = ARGV[4],
  opts = ARGV[6] .. ',"delay":' .. digits(delay) .. ',"jobId":"repeat:' .. ARGV[7] .. ':' .. digits(next)
    .. '","prevMillis":' .. digits(next) .. '}',
  now = now,
  delay = delay,
  priority = tonumber(ARGV[15]),
  scheduler = id,
})
if line == 'delayed' then
  wake_later()
else
  wake()
end
trim_events()
return digits(next)
