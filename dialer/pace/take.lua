-- Grants calls at the pace of several buckets at once (GCRA), all or as many as every bucket allows.
--
-- KEYS[1]  hold of the provider: microseconds until which nobody may call it
-- KEYS[2]  slow-down of the provider after a 429: "factor updated_us"
-- KEYS[3…] buckets: the theoretical arrival time of the next call, in microseconds; after them as many signs, one of
--          each bucket: it stands while somebody who goes ahead waits for a token of it
-- ARGV[1]  how many calls are wanted
-- ARGV[2]  1 to take them, 0 only to look
-- ARGV[3]  microseconds in which a slow-down of 0.05 is forgotten
-- ARGV[4]  1 for those who go ahead: they heed no sign, and put one up where they find too little
-- ARGV[5]  microseconds that a sign stands beyond the moment at which the next token is due
-- ARGV[6…] per bucket: microseconds between two calls, calls that may come at once, 1 if a slow-down applies to it
--
-- Returns {granted, microseconds to wait for the next one, index of what stands in the way (0 the hold, 1… a bucket)}.
-- The clock is the server's: workers on hosts whose clocks differ share one pace.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local hold = tonumber(redis.call('GET', KEYS[1]) or 0)
if hold > now then
  return {0, hold - now, 0}
end

local slow = 1
local stored = redis.call('GET', KEYS[2])
if stored then
  local factor, updated = string.match(stored, '^(%S+) (%S+)$')
  slow = math.min(1, tonumber(factor) + 0.05 * math.floor((now - tonumber(updated)) / tonumber(ARGV[3])))
end

local ahead = ARGV[4] == '1'
local buckets = (#KEYS - 2) / 2
local granted = tonumber(ARGV[1])
local wait, blocker = 0, -1
local tats, steps, rooms, dues = {}, {}, {}, {}
for i = 3, 2 + buckets do
  local at = 6 + 3 * (i - 3)
  local step, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  if ARGV[at + 2] == '1' then
    step = step / slow
  end
  local tat = math.max(tonumber(redis.call('GET', KEYS[i]) or 0), now)
  local room = math.floor((now - tat) / step + burst + 0.000001)
  local kept = ahead and 0 or math.max(redis.call('PTTL', KEYS[i + buckets]), 0) * 1000
  if kept > 0 then
    room = 0
  end
  if room < granted then
    granted = math.max(room, 0)
    blocker = i - 2
  end
  if room < tonumber(ARGV[1]) then
    -- When one call more than there is room for may come.
    local due = tat + (math.max(room, 0) + 1 - burst) * step - now
    wait = math.max(wait, due, kept)
    dues[i] = due
  end
  tats[i], steps[i], rooms[i] = tat, step, room
end

if ahead and granted < tonumber(ARGV[1]) then
  -- Only where it is short: a bucket that has enough must not be kept from others because another one has not.
  for i = 3, 2 + buckets do
    if rooms[i] <= granted then
      redis.call('SET', KEYS[i + buckets], '', 'PX', math.ceil((dues[i] + tonumber(ARGV[5])) / 1000))
    end
  end
end

if granted > 0 and ARGV[2] == '1' then
  for i = 3, 2 + buckets do
    local tat = tats[i] + granted * steps[i]
    redis.call('SET', KEYS[i], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
  end
end
return {granted, math.ceil(math.max(wait, 0)), blocker}
