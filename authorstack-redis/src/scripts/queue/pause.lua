-- Pauses or resumes. ARGV: 'paused' or 'resumed'. Jobs keep their order whatever a Node app of either
-- version does at the same time: what is in both lists is joined, never overwritten.
if (ARGV[1] == 'paused') == queue.paused then
  return 0
end
if ARGV[1] == 'paused' then
  call('HSET', META, 'paused', 1)
  call('DEL', MARKER)
  if call('EXISTS', PAUSED) == 0 then
    if call('EXISTS', WAIT) == 1 then
      call('RENAME', WAIT, PAUSED)
    end
  else
    while call('RPOPLPUSH', WAIT, PAUSED) do
    end
  end
else
  call('HDEL', META, 'paused')
  queue.paused = false
  if call('EXISTS', WAIT) == 0 then
    if call('EXISTS', PAUSED) == 1 then
      call('RENAME', PAUSED, WAIT)
    end
  else
    while call('LMOVE', PAUSED, WAIT, 'LEFT', 'RIGHT') do
    end
  end
  if call('LLEN', WAIT) > 0 or call('ZCARD', PRIORITIZED) > 0 then
    wake()
  else
    wake_later()
  end
end
event(ARGV[1])
trim_events()
return 1
