-- Some of the jobs in a state. ARGV: the key's name, how many to skip, how many to take.
local first = tonumber(ARGV[2])
local last = first + tonumber(ARGV[3]) - 1
local ids
if ARGV[1] == 'wait' then
  -- Those of a paused queue are in another list; the next one is at the right end.
  ids = call('LRANGE', PAUSED, -last - 1, -1)
  for _, id in ipairs(call('LRANGE', WAIT, -last - 1, -1)) do
    ids[#ids + 1] = id
  end
  local page = {}
  for at = #ids - first, math.max(#ids - last, 1), -1 do
    page[#page + 1] = ids[at]
  end
  ids = page
elseif ARGV[1] == 'active' then
  ids = {}
  local found = call('LRANGE', ACTIVE, -last - 1, -first - 1)
  for at = #found, 1, -1 do
    ids[#ids + 1] = found[at]
  end
elseif ARGV[1] == 'completed' or ARGV[1] == 'failed' then
  ids = call('ZREVRANGE', BASE .. ARGV[1], first, last)
else
  ids = call('ZRANGE', BASE .. ARGV[1], first, last)
end
local jobs = {}
for _, id in ipairs(ids) do
  local job = redis.pcall('HGETALL', BASE .. id)
  if not job.err and #job > 0 then
    jobs[#jobs + 1] = { id, job }
  end
end
return jobs
