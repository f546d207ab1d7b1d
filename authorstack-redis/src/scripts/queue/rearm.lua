-- Wakes a worker if there is work.
if not queue.paused then
  if call('LLEN', WAIT) > 0 or call('ZCARD', PRIORITIZED) > 0 then
    wake()
  else
    wake_later()
  end
end
return 0
