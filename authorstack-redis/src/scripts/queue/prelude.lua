-- What all scripts of a queue share. The keys are BullMQ's, in the order of keys.rs.
local call = redis.call
local WAIT, ACTIVE, PAUSED, PRIORITIZED = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local DELAYED, COMPLETED, FAILED, MARKER = KEYS[5], KEYS[6], KEYS[7], KEYS[8]
local ID, PRIORITY_COUNTER, LIMITER = KEYS[9], KEYS[10], KEYS[11]
local STALLED_CHECK, STALLED, EVENTS, META, REPEAT = KEYS[12], KEYS[13], KEYS[14], KEYS[15], KEYS[16]
-- A job's key is this and its id.
local BASE = string.sub(WAIT, 1, -5)

-- A whole number as text. Lua itself shortens those beyond 14 digits, and Redis takes long for numbers.
local format = string.format
local function digits(number)
  return format('%d', number)
end

-- The settings of a queue, this one or a parent's.
local function settings(meta)
  local found = call('HMGET', meta, 'paused', 'concurrency', 'max', 'duration', 'opts.maxLenEvents')
  return {
    paused = found[1] and true or false,
    concurrency = tonumber(found[2]),
    max = tonumber(found[3]),
    duration = tonumber(found[4]),
    events = found[5],
  }
end

local queue = settings(META)

local function event(name, ...)
  call('XADD', EVENTS, '*', 'event', name, ...)
end

-- Keeps about as many events as the queue's settings say. A script that tells much calls it once.
local function trim_events()
  if not queue.events then
    call('HSET', META, 'opts.maxLenEvents', 10000)
    queue.events = 10000
  end
  call('XTRIM', EVENTS, 'MAXLEN', '~', queue.events)
end

-- Whether workers must not be woken.
local function is_held(meta, active)
  if meta.paused then
    return true
  end
  return meta.concurrency and call('LLEN', active) >= meta.concurrency
end

local function wake()
  if not is_held(queue, ACTIVE) then
    call('ZADD', MARKER, 0, '0')
  end
end

-- When the next delayed job is due, in milliseconds.
local function next_due()
  local first = call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
  if first[2] then
    return math.floor(tonumber(first[2]) / 4096)
  end
end

local function wake_later()
  local due = next_due()
  if due and not queue.paused then
    call('ZADD', MARKER, digits(due), '1')
  end
end

local function line()
  return queue.paused and PAUSED or WAIT
end

local function prioritize(id, priority)
  local order = call('INCR', PRIORITY_COUNTER)
  call('ZADD', PRIORITIZED, digits(priority * 4294967296 + order % 4294967296), id)
end

-- Lets a job wait until then. The twelve low bits keep the order within a millisecond.
local function put_off(id, due)
  local lowest, highest = due * 4096, due * 4096 + 4095
  local last = call('ZREVRANGEBYSCORE', DELAYED, digits(highest), digits(lowest), 'WITHSCORES', 'LIMIT', 0, 1)
  local score = lowest
  if last[2] then
    score = math.min(tonumber(last[2]) + 1, highest)
  end
  call('ZADD', DELAYED, digits(score), id)
  event('delayed', 'jobId', id, 'delay', digits(due))
end

local function remove_keys(id)
  local key = BASE .. id
  call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
end

-- Stores a job, and puts it in its line. `job` has id, name, data, opts (JSON), now, delay, priority,
-- first (next in line), and maybe kind (of a deduplication), scheduler, and a list that takes the id
-- instead of the line.
local function store(job)
  local more = {}
  if job.kind then
    more[#more + 1] = 'deid'
    more[#more + 1] = job.kind
  end
  if job.scheduler then
    more[#more + 1] = 'rjk'
    more[#more + 1] = job.scheduler
  end
  call('HSET', BASE .. job.id, 'name', job.name, 'data', job.data, 'opts', job.opts, 'timestamp', digits(job.now),
    'delay', digits(math.max(job.delay, 0)), 'priority', digits(job.priority), unpack(more))
  event('added', 'jobId', job.id, 'name', job.name)
  if job.delay > 0 then
    put_off(job.id, job.now + job.delay)
    return 'delayed'
  end
  if job.priority > 0 then
    prioritize(job.id, job.priority)
  elseif job.lined and not job.first then
    job.lined[#job.lined + 1] = job.id
  else
    call(job.first and 'RPUSH' or 'LPUSH', line(), job.id)
  end
  event('waiting', 'jobId', job.id)
  return 'waiting'
end

-- Puts a job back in line that was active. `first`: it is the next one.
local function line_up(id, priority, first, previous)
  if priority > 0 then
    if first then
      call('ZADD', PRIORITIZED, digits(priority * 4294967296), id)
    else
      prioritize(id, priority)
    end
  else
    call(first and 'RPUSH' or 'LPUSH', line(), id)
  end
  event('waiting', 'jobId', id, 'prev', previous)
end

local function remember(key, id, lasts)
  if lasts and lasts > 0 then
    call('SET', key, id, 'PX', digits(lasts))
  else
    call('SET', key, id)
  end
end

-- A flow's parent is in a queue of its own. These are its parts.
local function parent_of(raw)
  local parsed, parent = pcall(cjson.decode, raw)
  if not parsed or type(parent) ~= 'table' or not parent.queueKey or not parent.id then
    return nil
  end
  return {
    id = tostring(parent.id),
    queue = parent.queueKey,
    key = parent.queueKey .. ':' .. tostring(parent.id),
    options = parent,
  }
end

-- Puts a parent in line that waited for its children.
local function release_parent(parent, now)
  local from = parent.queue .. ':'
  if call('ZREM', from .. 'waiting-children', parent.id) == 0 then
    return
  end
  local meta = settings(from .. 'meta')
  local found = call('HMGET', parent.key, 'priority', 'delay')
  local priority, delay = tonumber(found[1]) or 0, tonumber(found[2]) or 0
  if delay > 0 then
    local due = now + delay
    call('ZADD', from .. 'delayed', digits(due * 4096), parent.id)
    call('XADD', from .. 'events', '*', 'event', 'delayed', 'jobId', parent.id, 'delay', digits(due))
    local first = call('ZRANGE', from .. 'delayed', 0, 0, 'WITHSCORES')
    call('ZADD', from .. 'marker', digits(math.floor(tonumber(first[2]) / 4096)), '1')
    return
  end
  if priority > 0 then
    local order = call('INCR', from .. 'pc')
    call('ZADD', from .. 'prioritized', digits(priority * 4294967296 + order % 4294967296), parent.id)
  else
    call('RPUSH', from .. (meta.paused and 'paused' or 'wait'), parent.id)
  end
  call('XADD', from .. 'events', '*', 'event', 'waiting', 'jobId', parent.id, 'prev', 'waiting-children')
  if not is_held(meta, from .. 'active') then
    call('ZADD', from .. 'marker', 0, '0')
  end
end

local function release_without_children(parent, now)
  if call('SCARD', parent.key .. ':dependencies') == 0 and call('EXISTS', parent.key) == 1 then
    release_parent(parent, now)
  end
end
