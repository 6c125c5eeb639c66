-- A control of the benchmarks: it charges what a node has admitted, whether there is room or not.
-- KEYS: buckets. ARGV: microseconds per token, then the tokens spent of each bucket.
-- It returns the debt of each bucket, in microseconds.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local debts = {}
for i, key in ipairs(KEYS) do
  local full = math.max(tonumber(redis.call('GET', key) or now), now)
  local spent = tonumber(ARGV[i + 1])
  if spent > 0 then
    full = full + spent * ARGV[1]
    redis.call('SET', key, string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
  end
  debts[i] = string.format('%.0f', full - now)
end
return debts
