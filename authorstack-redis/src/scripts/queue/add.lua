-- Adds jobs. ARGV: the time, then for each job: id or '', name, data, options, delay, priority,
-- '1' if it is the next one, the kind of a deduplication or '', how long that lasts, and its flags.
local now = tonumber(ARGV[1])
local FIELDS = 10
local count = (#ARGV - 1) / FIELDS
-- The first write: it is refused where no memory is left, and nothing has changed then.
local last = call('INCRBY', ID, count)

-- The job of this kind that is there already. If there is none, `id` is the one from now on.
local function deduplicated(id, kind, lasts, flags)
  local key = BASE .. 'de:' .. kind
  local there = call('GET', key)
  if there and call('EXISTS', BASE .. there) == 0 and call('PTTL', key) == -1 then
    -- Its job is gone without having ended.
    there = false
  end
  if not there then
    remember(key, id, lasts)
    return nil
  end
  if string.find(flags, 'r', 1, true) then
    if call('ZREM', DELAYED, there) == 1 then
      remove_keys(there)
      event('removed', 'jobId', there, 'prev', 'delayed')
      event('deduplicated', 'jobId', id, 'deduplicationId', kind, 'deduplicatedJobId', there)
      if string.find(flags, 'e', 1, true) or lasts <= 0 then
        remember(key, id, lasts)
      else
        call('SET', key, id, 'KEEPTTL')
      end
      return nil
    end
  elseif string.find(flags, 'e', 1, true) and lasts > 0 then
    remember(key, there, lasts)
  end
  event('deduplicated', 'jobId', there, 'deduplicationId', kind, 'deduplicatedJobId', id)
  return there
end

local ids, added, lined = {}, {}, {}
-- Jobs that wait side by side are pushed by one command.
local function push_lined()
  if #lined > 0 then
    call('LPUSH', line(), unpack(lined))
    lined = {}
  end
end
for number = 1, count do
  local at = 2 + (number - 1) * FIELDS
  local id = ARGV[at]
  local there
  if id == '' then
    id = digits(last - count + number)
  elseif call('EXISTS', BASE .. id) == 1 then
    event('duplicated', 'jobId', id)
    there = id
  end
  local kind = ARGV[at + 7]
  if not there and kind ~= '' then
    there = deduplicated(id, kind, tonumber(ARGV[at + 8]), ARGV[at + 9])
  end
  if not there then
    if ARGV[at + 6] == '1' then
      push_lined()
    end
    local line = store({
      id = id,
      name = ARGV[at + 1],
      data = ARGV[at + 2],
      opts = ARGV[at + 3],
      now = now,
      delay = tonumber(ARGV[at + 4]),
      priority = tonumber(ARGV[at + 5]),
      first = ARGV[at + 6] == '1',
      kind = kind ~= '' and kind or nil,
      lined = lined,
    })
    added[line] = true
  end
  ids[number] = there or id
end
push_lined()
trim_events()
if added.delayed then
  wake_later()
end
if added.waiting then
  wake()
end
return ids
