-- Puts the jobs back in line that a feed took, but does not hold. ARGV: the feed, then the ids it holds.
local held = {}
for at = 2, #ARGV do
  held[ARGV[at]] = true
end
local prefix = ARGV[1] .. ':'
local count = 0
for _, id in ipairs(call('LRANGE', ACTIVE, 0, -1)) do
  if not held[id] then
    local key = BASE .. id
    local token = call('GET', key .. ':lock')
    if token and string.sub(token, 1, #prefix) == prefix then
      call('DEL', key .. ':lock')
      call('SREM', STALLED, id)
      call('LREM', ACTIVE, 1, id)
      line_up(id, tonumber(call('HGET', key, 'priority')) or 0, true, 'active')
      count = count + 1
    end
  end
end
if count > 0 then
  wake()
end
return count
