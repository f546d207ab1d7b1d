-- Renews locks. ARGV: the lock's milliseconds, then id and token of each. Answers those that are lost.
-- PEXPIRE needs no memory: a full server must not cost workers their jobs.
local lost = {}
for at = 2, #ARGV, 2 do
  local key = BASE .. ARGV[at] .. ':lock'
  if call('GET', key) == ARGV[at + 1] then
    call('PEXPIRE', key, ARGV[1])
    call('SREM', STALLED, ARGV[at])
  else
    lost[#lost + 1] = ARGV[at]
  end
end
return lost
