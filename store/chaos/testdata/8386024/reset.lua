-- Fills buckets, and leaves a marker in each: for one refill, debts that were seen before it are ignored. After that
-- nobody can know of such a debt any more. KEYS are the buckets, ARGV the times that they take to refill, in
-- microseconds. take.lua describes the value.

local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000000 + time[2])

for i, key in ipairs(KEYS) do
	redis.call('SET', key, '1:' .. now .. ':0:1:' .. now .. ':' .. ARGV[i],
		'PX', string.format('%.0f', math.max(1, math.ceil(ARGV[i] / 1000))))
end
return {}
