-- The schedules: id, next moment and fields of each, the next one first.
local all = {}
local found = call('ZRANGE', REPEAT, 0, 999, 'WITHSCORES')
for at = 1, #found, 2 do
  local scheduler = redis.pcall('HGETALL', REPEAT .. ':' .. found[at])
  if not scheduler.err and #scheduler > 0 then
    all[#all + 1] = { found[at], digits(tonumber(found[at + 1])), scheduler }
  end
end
return all
