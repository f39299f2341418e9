-- Holds a provider after a 429, and halves its pace. A hold only ever lengthens.
--
-- KEYS[1] hold, KEYS[2] slow-down; ARGV[1] microseconds to hold from now, ARGV[2] the slowest factor,
-- ARGV[3] microseconds in which a slow-down of 0.05 is forgotten, ARGV[4] 1 to halve the pace
-- Returns the microseconds that the hold still lasts.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local held = tonumber(redis.call('GET', KEYS[1]) or 0)
-- One 429 is answered to each call that was in flight; only the first of them halves the pace.
if ARGV[4] == '1' and held <= now then
  local factor = 1
  local stored = redis.call('GET', KEYS[2])
  if stored then
    local before, updated = string.match(stored, '^(%S+) (%S+)$')
    factor = math.min(1, tonumber(before) + 0.05 * math.floor((now - tonumber(updated)) / tonumber(ARGV[3])))
  end
  factor = math.max(factor / 2, tonumber(ARGV[2]))
  redis.call('SET', KEYS[2], string.format('%.4f %.0f', factor, now + tonumber(ARGV[1])), 'EX', 86400)
end
held = math.max(held, now + tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', held), 'PX', math.ceil((held - now) / 1000) + 1000)
return held - now
