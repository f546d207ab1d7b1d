-- Settles jobs, and takes others. ARGV: the time, the lock's milliseconds, the feed, the number of
-- its next token, how many to take, the worker's name, how many are settled; then for each: id,
-- token, outcome, value, the place of its details in ARGV, and for a job that is neither in a flow nor
-- deduplicated the attempts before this one, or ''. Then the details, once for all that share them:
-- stack trace (JSON), how many and how many seconds to keep (-1: all), the attempts or the
-- milliseconds until the next one.
--
-- What can be done for all jobs by one command is: a script's commands cost more than what they do.
-- So do arguments, and so do numbers where a text is at hand.
local now, lock = tonumber(ARGV[1]), ARGV[2]
local feed, token, room, worker = ARGV[3] .. ':', tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local settlements = tonumber(ARGV[7])
local FIELDS = 6
local GONE, LOCK_LOST = 1, 2
local lined_up, put_off_one = false, false
local trims = {}
-- The finished jobs of each set: scores and ids in turn.
local finished = {}

-- Tells the parent of a flow that a child has ended.
local function tell_parent(raw, id, outcome, value)
  local parent = parent_of(raw)
  if not parent then
    return
  end
  local key, options = BASE .. id, parent.options
  local dependencies = parent.key .. ':dependencies'
  if outcome == 'completed' then
    if call('SREM', dependencies, key) == 1 then
      call('HSET', parent.key .. ':processed', key, value)
      release_without_children(parent, now)
    end
  elseif options.fpof then
    if call('SREM', dependencies, key) == 1 then
      call('ZADD', parent.key .. ':unsuccessful', digits(now), key)
      if call('EXISTS', parent.key) == 1 and not call('ZSCORE', parent.queue .. ':failed', parent.id) then
        call('HSET', parent.key, 'defa', 'child ' .. key .. ' failed')
        if call('ZREM', parent.queue .. ':delayed', parent.id) == 1 then
          call('HSET', parent.key, 'delay', 0)
          call('ZADD', parent.queue .. ':waiting-children', digits(now), parent.id)
        end
        release_parent(parent, now)
      end
    end
  elseif options.cpof then
    if call('SREM', dependencies, key) == 1 then
      call('HSET', parent.key .. ':failed', key, value)
      release_parent(parent, now)
    end
  elseif options.idof or options.rdof then
    if call('SREM', dependencies, key) == 1 then
      if options.idof then
        call('HSET', parent.key .. ':failed', key, value)
      end
      release_without_children(parent, now)
    end
  end
end

-- Ends the deduplication of a job, and adds the job that waited for its end (Node's
-- keepLastIfActive).
local function end_kind(id, kind)
  local key = BASE .. 'de:' .. kind
  local left = call('PTTL', key)
  if left == 0 or (left == -1 and call('GET', key) == id) then
    call('DEL', key)
  end
  local waiting = BASE .. 'dn:' .. kind
  local found = call('HMGET', waiting, 'name', 'data', 'opts', 'jid', 'rjk')
  if not found[1] then
    return
  end
  local number = call('INCR', ID)
  local parsed, opts = pcall(cjson.decode, found[3] or '{}')
  if not parsed or type(opts) ~= 'table' then
    opts = {}
  end
  local again = found[4] or digits(number)
  local de = type(opts.de) == 'table' and opts.de or {}
  remember(key, again, not de.keepLastIfActive and tonumber(de.ttl) or nil)
  local line = store({
    id = again,
    name = found[1],
    data = found[2] or '{}',
    opts = found[3] or '{}',
    now = now,
    delay = tonumber(opts.delay) or 0,
    priority = tonumber(opts.priority) or 0,
    first = opts.lifo and true or false,
    kind = kind,
    scheduler = found[5] or nil,
  })
  if line == 'delayed' then
    put_off_one = true
  else
    lined_up = true
  end
  call('DEL', waiting)
end

-- Those that are out of the active ones already.
local released = {}

local known_details = {}
local function details(place)
  local known = known_details[place]
  if not known then
    local at = tonumber(place)
    known = {
      trace = ARGV[at],
      keep = tonumber(ARGV[at + 1]),
      age = tonumber(ARGV[at + 2]),
      number = tonumber(ARGV[at + 3]),
    }
    known_details[place] = known
  end
  return known
end

-- Counts a job among the finished ones, of which those of a set are added and trimmed together.
local function keep_in(set, id, own)
  local list = finished[set] or {}
  finished[set] = list
  list[#list + 1] = ARGV[1]
  list[#list + 1] = id
  if own.keep > 0 or own.age >= 0 then
    trims[own] = set
  end
end

-- The lock is the worker's own, and is gone.
local function settle(at)
  local id, outcome, value = ARGV[at], ARGV[at + 2], ARGV[at + 3]
  local key, own = BASE .. id, details(ARGV[at + 4])
  if not released[id] and call('LREM', ACTIVE, -1, id) == 0 then
    return LOCK_LOST
  end
  if outcome == 'completed' and ARGV[at + 5] ~= '' and own.keep ~= 0 then
    keep_in(COMPLETED, id, own)
    call('HSET', key, 'atm', digits(ARGV[at + 5] + 1), 'returnvalue', value, 'finishedOn', ARGV[1])
    call('XADD', EVENTS, '*', 'event', 'completed', 'jobId', id, 'returnvalue', value, 'prev', 'active')
    return nil
  end
  local job = call('HMGET', key, 'name', 'atm', 'priority', 'parent', 'deid', 'opts')
  if not job[1] then
    return GONE
  end
  local attempts = (tonumber(job[2]) or 0) + 1
  local trace, number = own.trace, own.number
  local priority = tonumber(job[3]) or 0
  if outcome == 'back' then
    line_up(id, priority, true, 'active')
    lined_up = true
    return nil
  end
  if outcome == 'retry' then
    call('HSET', key, 'atm', digits(attempts), 'failedReason', value, 'stacktrace', trace, 'delay', digits(number))
    if number > 0 then
      put_off(id, now + number)
      put_off_one = true
    else
      local first = string.find(job[6] or '', '"lifo":true', 1, true) and true or false
      line_up(id, priority, first, 'active')
      lined_up = true
    end
    return nil
  end
  local set, field = COMPLETED, 'returnvalue'
  if outcome == 'failed' then
    set, field = FAILED, 'failedReason'
  end
  if job[5] then
    end_kind(id, job[5])
  end
  if job[4] then
    tell_parent(job[4], id, outcome, value)
  end
  if own.keep == 0 then
    remove_keys(id)
  else
    keep_in(set, id, own)
    if outcome == 'failed' then
      call('HSET', key, 'atm', digits(attempts), field, value, 'finishedOn', ARGV[1], 'stacktrace', trace)
      call('HDEL', key, 'defa')
    else
      call('HSET', key, 'atm', digits(attempts), field, value, 'finishedOn', ARGV[1])
    end
  end
  event(outcome, 'jobId', id, field, value, 'prev', 'active')
  if outcome == 'failed' and attempts >= number then
    event('retries-exhausted', 'jobId', id, 'attemptsMade', digits(attempts))
  end
  return nil
end

-- Removes the finished jobs that are too old or too many.
local function trim(set, keep, age)
  local surplus = {}
  if age >= 0 then
    surplus = call('ZRANGEBYSCORE', set, '-inf', '(' .. digits(now - age * 1000), 'LIMIT', 0, 1000)
  end
  if #surplus > 0 then
    for _, id in ipairs(surplus) do
      remove_keys(id)
    end
    call('ZREM', set, unpack(surplus))
  end
  if keep > 0 then
    surplus = call('ZREVRANGE', set, keep, keep + 999)
    if #surplus > 0 then
      for _, id in ipairs(surplus) do
        remove_keys(id)
      end
      call('ZREM', set, unpack(surplus))
    end
  end
end

-- Puts delayed jobs in line whose time has come.
local function promote()
  local due = call('ZRANGEBYSCORE', DELAYED, 0, digits((now + 1) * 4096 - 1), 'LIMIT', 0, 1000)
  if #due == 0 then
    return
  end
  call('ZREM', DELAYED, unpack(due))
  for _, id in ipairs(due) do
    local priority = tonumber(call('HGET', BASE .. id, 'priority')) or 0
    line_up(id, priority, false, 'delayed')
    call('HSET', BASE .. id, 'delay', 0)
  end
  lined_up = true
end

-- Of the jobs that are taken: ids and fields in turn.
local refused, taken, broken = {}, {}, {}
local got = 0

-- Calls a command with a list of arguments, in parts that Lua can pass.
local function in_parts(arguments, run)
  for from = 1, #arguments, 4000 do
    run(unpack(arguments, from, math.min(from + 3999, #arguments)))
  end
end

local locks, holders = {}, {}
for number = 1, settlements do
  locks[number] = BASE .. ARGV[8 + (number - 1) * FIELDS] .. ':lock'
end
in_parts(locks, function(...)
  for _, holder in ipairs(call('MGET', ...)) do
    holders[#holders + 1] = holder
  end
end)
local own, own_locks, own_ids = {}, {}, {}
for number = 1, settlements do
  local at = 8 + (number - 1) * FIELDS
  if holders[number] == ARGV[at + 1] then
    own[#own + 1] = number
    own_locks[#own_locks + 1] = locks[number]
    own_ids[#own_ids + 1] = ARGV[at]
  else
    local exists = call('EXISTS', BASE .. ARGV[at]) == 1
    refused[#refused + 1] = { number, exists and LOCK_LOST or GONE }
  end
end
-- The first write is one that is allowed where no memory is left.
in_parts(own_locks, function(...)
  call('DEL', ...)
end)
if #own_ids > 0 and call('EXISTS', STALLED) == 1 then
  in_parts(own_ids, function(...)
    call('SREM', STALLED, ...)
  end)
end
-- Where a good part of the active jobs has ended, what is left is written anew.
local active = #own_ids > 3 and call('LRANGE', ACTIVE, 0, 4 * #own_ids) or {}
if #active > 0 and #active <= 4 * #own_ids then
  local ended, left = {}, {}
  for _, id in ipairs(own_ids) do
    ended[id] = true
  end
  for _, id in ipairs(active) do
    if ended[id] then
      released[id] = true
    else
      left[#left + 1] = id
    end
  end
  call('DEL', ACTIVE)
  in_parts(left, function(...)
    call('RPUSH', ACTIVE, ...)
  end)
end
for _, number in ipairs(own) do
  local refusal = settle(8 + (number - 1) * FIELDS)
  if refusal then
    refused[#refused + 1] = { number, refusal }
  end
end
for set, list in pairs(finished) do
  in_parts(list, function(...)
    call('ZADD', set, ...)
  end)
end
-- Failed jobs have details of their own, and the same to keep: each set is trimmed once.
local trimmed = {}
for own, set in pairs(trims) do
  local what = set .. ' ' .. own.keep .. ' ' .. own.age
  if not trimmed[what] then
    trimmed[what] = true
    trim(set, own.keep, own.age)
  end
end

-- How long the queue's rate limit lets nothing through.
local function limit()
  if queue.max and (tonumber(call('GET', LIMITER)) or 0) >= queue.max then
    local left = call('PTTL', LIMITER)
    if left > 0 then
      return left
    end
    call('DEL', LIMITER)
  end
  return 0
end

-- Moves up to so many jobs to the active ones, in the order in which they run.
local function grab(count)
  local ids = {}
  local waiting = call('LRANGE', WAIT, -count, -1)
  if #waiting > 0 then
    for at = #waiting, 1, -1 do
      ids[#ids + 1] = waiting[at]
    end
    -- Refused as a whole where no memory is left.
    call('LPUSH', ACTIVE, unpack(ids))
    call('LTRIM', WAIT, 0, -#waiting - 1)
    return ids
  end
  ids = call('ZRANGE', PRIORITIZED, 0, count - 1)
  if #ids > 0 then
    call('LPUSH', ACTIVE, unpack(ids))
    call('ZREM', PRIORITIZED, unpack(ids))
    return ids
  end
  -- What a resume of BullMQ 6 has not brought back yet.
  local left = call('RPOPLPUSH', PAUSED, ACTIVE)
  if left then
    return { left }
  end
  return ids
end

-- Locks a job for the worker, and adds it to those that are taken.
local function take(id)
  local key = BASE .. id
  local job = redis.pcall('HGETALL', key)
  if job.err or #job == 0 then
    -- No job, or another kind of value: it must not stop the others. `0:` was a marker once.
    call('LREM', ACTIVE, 1, id)
    if string.sub(id, 1, 2) ~= '0:' then
      broken[#broken + 1] = id
    end
    return
  end
  local mine = feed .. digits(token)
  token = token + 1
  local started = '1'
  for at = 1, #job, 2 do
    if job[at] == 'ats' then
      started = digits((tonumber(job[at + 1]) or 0) + 1)
    end
  end
  call('PSETEX', key .. ':lock', lock, mine)
  if worker == '' then
    call('HSET', key, 'processedOn', ARGV[1], 'ats', started)
  else
    call('HSET', key, 'processedOn', ARGV[1], 'ats', started, 'pb', worker)
  end
  call('XADD', EVENTS, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
  -- Tokens are numbered in the order of the jobs: the worker knows them.
  got = got + 1
  taken[2 * got - 1], taken[2 * got] = id, job
end

local limited, due = 0, ''
if room > 0 then
  promote()
  limited = limit()
end
if room > 0 and limited == 0 and not queue.paused then
  local wanted = room
  if queue.concurrency then
    wanted = math.min(wanted, queue.concurrency - call('LLEN', ACTIVE))
  end
  if queue.max then
    wanted = math.min(wanted, queue.max - (tonumber(call('GET', LIMITER)) or 0))
  end
  while got < wanted do
    local ids = grab(math.min(wanted - got, 1000))
    if #ids == 0 then
      break
    end
    for _, id in ipairs(ids) do
      take(id)
    end
  end
  if queue.max and got > 0 and call('INCRBY', LIMITER, got) == got then
    call('PEXPIRE', LIMITER, digits(queue.duration or 1000))
  end
  if got >= wanted or queue.max then
    if call('LLEN', WAIT) > 0 or call('ZCARD', PRIORITIZED) > 0 then
      wake()
    else
      -- This worker is full: another one must know when the next delayed job is due.
      wake_later()
    end
  else
    local first = next_due()
    due = first and digits(first) or ''
  end
elseif lined_up then
  wake()
end
if put_off_one and due == '' then
  wake_later()
end
if settlements > 0 and got == 0 and call('LLEN', ACTIVE) == 0 and call('LLEN', WAIT) == 0
  and call('ZCARD', PRIORITIZED) == 0 then
  event('drained')
end
if settlements > 0 or got > 0 or lined_up then
  trim_events()
end
return { refused, taken, broken, limited, due }
