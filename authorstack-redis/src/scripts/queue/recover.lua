-- Looks for lost workers. ARGV: the time, how many milliseconds there are between two looks, and how
-- often a job may lose its worker. Answers the jobs that are back in line, and how many run.
if not call('SET', STALLED_CHECK, ARGV[1], 'NX', 'PX', ARGV[2]) then
  return { {}, call('LLEN', ACTIVE) }
end
local most = tonumber(ARGV[3])
local stalled = {}
local suspects = call('SMEMBERS', STALLED)
if #suspects > 0 then
  call('DEL', STALLED)
end
for _, id in ipairs(suspects) do
  local key = BASE .. id
  if call('EXISTS', key .. ':lock') == 0 and call('LREM', ACTIVE, 1, id) > 0 then
    local kind = call('TYPE', key)
    if (kind.ok or kind) == 'hash' then
      local times = call('HINCRBY', key, 'stc', 1)
      local found = call('HMGET', key, 'rjk', 'priority')
      local scheduled = found[1] and call('EXISTS', REPEAT .. ':' .. found[1]) == 1
      if times > most and not scheduled then
        call('HSET', key, 'defa', 'job stalled more than allowable limit')
      end
      -- As in BullMQ, it is the very next one, whatever its priority.
      call('RPUSH', line(), id)
      event('waiting', 'jobId', id, 'prev', 'active')
      event('stalled', 'jobId', id)
      stalled[#stalled + 1] = id
    end
  end
end
local active = call('LRANGE', ACTIVE, 0, -1)
for from = 1, #active, 5000 do
  call('SADD', STALLED, unpack(active, from, math.min(from + 4999, #active)))
end
-- A worker may have died between waking and taking.
if not queue.paused then
  if call('LLEN', WAIT) > 0 or call('ZCARD', PRIORITIZED) > 0 then
    wake()
  else
    wake_later()
  end
end
return { stalled, #active }
