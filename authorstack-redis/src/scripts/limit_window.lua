-- Sliding window. KEYS: the subject's key. ARGV: length (µs), slice (µs, 0 for an entry a call),
-- quota, cost. The value lists the calls of the last window, oldest first: "<µs>:<calls> …".
-- Answers: allowed, remaining, µs until all is there again, µs to wait.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local length, slice = tonumber(ARGV[1]), tonumber(ARGV[2])
local quota, cost = tonumber(ARGV[3]), tonumber(ARGV[4])
local times, counts, n, used = {}, {}, 0, 0
for at, count in string.gmatch(redis.call('GET', KEYS[1]) or '', '(%d+):(%d+)') do
  at = tonumber(at)
  -- Moments to come were written by another clock.
  if at <= now and at + length > now then
    n = n + 1
    times[n], counts[n] = at, tonumber(count)
    used = used + counts[n]
  end
end
if used + cost > quota then
  local over, i = used + cost - quota, 0
  repeat
    i = i + 1
    over = over - counts[i]
  until over <= 0
  return {0, math.max(quota - used, 0), times[n] + length - now, times[i] + length - now}
end
if n > 0 and slice > 0 and math.floor(times[n] / slice) == math.floor(now / slice) then
  times[n], counts[n] = now, counts[n] + cost
else
  n = n + 1
  times[n], counts[n] = now, cost
end
local entries = {}
for i = 1, n do entries[i] = string.format('%.0f:%d', times[i], counts[i]) end
redis.call('SET', KEYS[1], table.concat(entries, ' '), 'PX', math.ceil(length / 1000))
return {1, quota - used - cost, length, 0}
