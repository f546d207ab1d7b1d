-- The value, or the lease. KEYS: key, lease, [generation of the group]. ARGV: a new token, ms of the
-- lease, ms of the generation. With a group, a value begins with its generation of 24 characters.
-- Answers: {0} taken, {1, value} found, {2, generation} yours.
if not KEYS[3] then
  local value = redis.call('GET', KEYS[1])
  if value then return {1, value} end
  if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {2, ''} end
  return {0}
end
-- MGET counts as one command where commands are billed.
local value, held, generation = unpack(redis.call('MGET', KEYS[1], KEYS[2], KEYS[3]))
if generation and value and string.sub(value, 1, 24) == generation then
  return {1, string.sub(value, 25)}
end
-- A lease of an earlier generation can fill nothing any more.
if generation and held and string.sub(held, 25) == generation then return {0} end
generation = generation or ARGV[1]
-- It outlives the value that the lease is for.
redis.call('SET', KEYS[3], generation, 'PX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[1] .. generation, 'PX', ARGV[2])
return {2, generation}
