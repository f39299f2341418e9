-- Takes one request from the bucket of a key (GCRA), or says when there will be one. Refused ones cost nothing.
--
-- KEYS[1] the bucket: the theoretical arrival time of the next request, in microseconds
-- ARGV[1] microseconds between two requests; ARGV[2] requests that may come at once
--
-- Returns {1 if it may go, requests that may come now, microseconds until all of them may again; of a refused one until
-- the next may}. The clock is the server's: API processes whose clocks differ share one bucket.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local step, burst = tonumber(ARGV[1]), tonumber(ARGV[2])

local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local room = math.floor((now - tat) / step + burst + 0.000001)
if room < 1 then
  return {0, 0, math.ceil(tat + step - burst * step - now)}
end
tat = tat + step
redis.call('SET', KEYS[1], string.format('%.0f', tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
return {1, room - 1, math.ceil(tat - now)}
