-- GCRA. KEYS: the subject's key. ARGV: interval (µs), quota, cost.
-- The value is the moment (µs) from which on nothing is used.
-- Answers: allowed, remaining, µs until all is there again, µs to wait.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, quota, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local room = interval * quota
local from = tonumber(redis.call('GET', KEYS[1]) or now)
-- What no call with this limit can have written does not count: another app's value, another clock.
if not (from and from >= now and from <= now + room) then from = now end
local to = from + interval * cost
if to > now + room then
  return {0, math.floor((now + room - from) / interval), from - now, to - now - room}
end
redis.call('SET', KEYS[1], string.format('%.0f', to), 'PX', math.ceil((to - now) / 1000))
return {1, math.floor((now + room - to) / interval), to - now, 0}
