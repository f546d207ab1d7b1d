-- Fills a value in if the lease still holds. KEYS: key, lease, [generation of the group].
-- ARGV: token, generation, value, ms.
local held, generation = unpack(redis.call('MGET', KEYS[2], KEYS[3] or KEYS[2]))
if held ~= ARGV[1] .. ARGV[2] then return 0 end
if KEYS[3] and generation ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2] .. ARGV[3], 'PX', ARGV[4])
redis.call('DEL', KEYS[2])
return 1
