-- Settles jobs, and takes others. ARGV: the time, the lock's milliseconds, the feed, the number of
-- its next token, how many to take, the worker's name, how many are settled; then for each: id,
-- token, outcome, value, stack trace (JSON), how many and how many seconds to keep (-1: all), and
-- the attempts or the milliseconds until the next one.
local now, lock = tonumber(ARGV[1]), ARGV[2]
local feed, token, room, worker = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local settlements = tonumber(ARGV[7])
local FIELDS = 8
local GONE, LOCK_LOST = 1, 2
local has_suspects = settlements > 0 and call('EXISTS', STALLED) == 1
local lined_up, put_off_one = false, false
local trims = {}

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

local function settle(id, token, outcome, value, trace, keep, age, number)
  local key = BASE .. id
  local lock_key = key .. ':lock'
  local holder = call('GET', lock_key)
  local job = call('HMGET', key, 'name', 'atm', 'priority', 'parent', 'deid', 'opts')
  if not job[1] then
    if holder == token then
      call('DEL', lock_key)
      call('LREM', ACTIVE, -1, id)
    end
    return GONE
  end
  if holder ~= token then
    return LOCK_LOST
  end
  -- The first write is one that is allowed where no memory is left.
  call('DEL', lock_key)
  if has_suspects then
    call('SREM', STALLED, id)
  end
  if call('LREM', ACTIVE, -1, id) == 0 then
    return LOCK_LOST
  end
  local attempts = (tonumber(job[2]) or 0) + 1
  local priority = tonumber(job[3]) or 0
  if outcome == 'back' then
    line_up(id, priority, true, 'active')
    lined_up = true
    return nil
  end
  if outcome == 'retry' then
    call('HSET', key, 'atm', attempts, 'failedReason', value, 'stacktrace', trace, 'delay', digits(number))
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
  if keep == 0 then
    remove_keys(id)
  else
    call('ZADD', set, digits(now), id)
    if outcome == 'failed' then
      call('HSET', key, 'atm', attempts, field, value, 'finishedOn', digits(now), 'stacktrace', trace)
      call('HDEL', key, 'defa')
    else
      call('HSET', key, 'atm', attempts, field, value, 'finishedOn', digits(now))
    end
    if keep > 0 or age >= 0 then
      trims[set .. keep .. ' ' .. age] = { set, keep, age }
    end
  end
  event(outcome, 'jobId', id, field, value, 'prev', 'active')
  if outcome == 'failed' and attempts >= number then
    event('retries-exhausted', 'jobId', id, 'attemptsMade', attempts)
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

local refused, taken, broken = {}, {}, {}
for number = 1, settlements do
  local at = 8 + (number - 1) * FIELDS
  local refusal = settle(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[at + 5]),
    tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7]))
  if refusal then
    refused[#refused + 1] = { number, refusal }
  end
end
for _, one in pairs(trims) do
  trim(one[1], one[2], one[3])
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

local function next_job()
  local id = call('RPOPLPUSH', WAIT, ACTIVE)
  if id then
    return id
  end
  local first = call('ZPOPMIN', PRIORITIZED)
  if first[1] then
    call('LPUSH', ACTIVE, first[1])
    return first[1]
  end
  -- What a resume of BullMQ 6 has not brought back yet.
  return call('RPOPLPUSH', PAUSED, ACTIVE)
end

local limited, due = 0, ''
if room > 0 then
  promote()
  limited = limit()
end
if room > 0 and limited == 0 and not queue.paused then
  local wanted = room
  if queue.concurrency then
    wanted = math.min(room, queue.concurrency - call('LLEN', ACTIVE))
  end
  while #taken < wanted do
    local id = next_job()
    if not id then
      break
    end
    local job = redis.pcall('HGETALL', BASE .. id)
    if job.err or #job == 0 then
      -- No job, or another kind of value: it must not stop the others. `0:` was a marker once.
      call('LREM', ACTIVE, 1, id)
      if string.sub(id, 1, 2) ~= '0:' then
        broken[#broken + 1] = id
      end
    else
      local mine = feed .. ':' .. digits(token)
      token = token + 1
      local started = 0
      for at = 1, #job, 2 do
        if job[at] == 'ats' then
          started = tonumber(job[at + 1]) or 0
        end
      end
      call('SET', BASE .. id .. ':lock', mine, 'PX', lock)
      if worker == '' then
        call('HSET', BASE .. id, 'processedOn', digits(now), 'ats', started + 1)
      else
        call('HSET', BASE .. id, 'processedOn', digits(now), 'ats', started + 1, 'pb', worker)
      end
      event('active', 'jobId', id, 'prev', 'waiting')
      taken[#taken + 1] = { id, mine, job }
      if queue.max then
        local used = call('INCR', LIMITER)
        if used == 1 then
          call('PEXPIRE', LIMITER, digits(queue.duration or 1000))
        end
        if used >= queue.max then
          break
        end
      end
    end
  end
  if #taken >= wanted or queue.max then
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
if settlements > 0 and #taken == 0 and call('LLEN', ACTIVE) == 0 and call('LLEN', WAIT) == 0
  and call('ZCARD', PRIORITIZED) == 0 then
  event('drained')
end
return { refused, taken, broken, limited, due }
