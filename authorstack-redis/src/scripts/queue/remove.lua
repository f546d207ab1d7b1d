-- Removes a job. ARGV: id, the time. Answers 0: it is gone, 1: a worker runs it, 2: a schedule's next.
local id, now = ARGV[1], tonumber(ARGV[2])
local key = BASE .. id
local kind = call('TYPE', key)
if (kind.ok or kind) ~= 'hash' then
  return 0
end
local found = call('HMGET', key, 'name', 'rjk', 'deid', 'parent', 'parentKey')
if not found[1] then
  -- A hash of the queue's own, such as its settings.
  return 0
end
if found[2] then
  local next = call('ZSCORE', REPEAT, found[2])
  if next and id == 'repeat:' .. found[2] .. ':' .. digits(tonumber(next)) then
    return 2
  end
end
if call('EXISTS', key .. ':lock') == 1 then
  return 1
end
local from = 'unknown'
for _, set in ipairs({ 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }) do
  if call('ZREM', BASE .. set, id) == 1 then
    from = set
    break
  end
end
if from == 'unknown' then
  for _, list in ipairs({ 'wait', 'paused', 'active' }) do
    if call('LREM', BASE .. list, 1, id) == 1 then
      from = list
      break
    end
  end
end
if found[3] and call('GET', BASE .. 'de:' .. found[3]) == id then
  call('DEL', BASE .. 'de:' .. found[3], BASE .. 'dn:' .. found[3])
end
local parent = found[4] and parent_of(found[4])
if parent and call('SREM', parent.key .. ':dependencies', key) == 1 then
  release_without_children(parent, now)
end
remove_keys(id)
event('removed', 'jobId', id, 'prev', from)
return 0
