-- Puts failed jobs back in line. ARGV: a count, or an id after 0. Answers how many; -1 where the job
-- does not exist, -2 where it has not failed.
local count = tonumber(ARGV[1])
local ids
if count == 0 then
  ids = { ARGV[2] }
  if not call('ZSCORE', FAILED, ARGV[2]) then
    local kind = call('TYPE', BASE .. ARGV[2])
    if (kind.ok or kind) == 'hash' and call('HEXISTS', BASE .. ARGV[2], 'name') == 1 then
      return -2
    end
    return -1
  end
else
  ids = call('ZRANGE', FAILED, 0, count - 1)
end
for _, id in ipairs(ids) do
  local key = BASE .. id
  call('ZREM', FAILED, id)
  local found = call('HMGET', key, 'priority', 'parent', 'opts')
  call('HDEL', key, 'finishedOn', 'processedOn', 'failedReason', 'atm', 'ats', 'defa')
  local parent = found[2] and parent_of(found[2])
  if parent and call('EXISTS', parent.key) == 1
    and call('ZREM', parent.key .. ':unsuccessful', key) + call('HDEL', parent.key .. ':failed', key) > 0 then
    call('SADD', parent.key .. ':dependencies', key)
  end
  local first = string.find(found[3] or '', '"lifo":true', 1, true) and true or false
  line_up(id, tonumber(found[1]) or 0, first, 'failed')
end
if #ids > 0 then
  trim_events()
  wake()
end
return #ids
