-- Notes a job's progress. ARGV: id, JSON. Answers 0 where the job does not exist.
local kind = call('TYPE', BASE .. ARGV[1])
if (kind.ok or kind) ~= 'hash' or call('HEXISTS', BASE .. ARGV[1], 'name') == 0 then
  return 0
end
call('HSET', BASE .. ARGV[1], 'progress', ARGV[2])
event('progress', 'jobId', ARGV[1], 'data', ARGV[2])
return 1
