-- Removes a schedule and its next job. ARGV: id.
local id = ARGV[1]
local next = tonumber(call('ZSCORE', REPEAT, id) or nil)
if next then
  local pending = 'repeat:' .. id .. ':' .. digits(next)
  if call('ZREM', DELAYED, pending) == 1 then
    remove_keys(pending)
    event('removed', 'jobId', pending, 'prev', 'delayed')
  end
end
call('ZREM', REPEAT, id)
call('DEL', REPEAT .. ':' .. id)
return 0
