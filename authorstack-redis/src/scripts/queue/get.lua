-- A job and where it is. ARGV: id. Answers nothing where there is no such job.
local id = ARGV[1]
local kind = call('TYPE', BASE .. id)
if (kind.ok or kind) ~= 'hash' then
  return false
end
local job = call('HGETALL', BASE .. id)
for _, set in ipairs({ 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }) do
  if call('ZSCORE', BASE .. set, id) then
    return { set, job }
  end
end
if call('LPOS', ACTIVE, id) then
  return { 'active', job }
end
return { 'waiting', job }
