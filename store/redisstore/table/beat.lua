-- Counts a node as alive, and returns what there is.
-- KEYS: head, body, nodes. ARGV: the node ("" for none), how long a beat counts in microseconds, 1 to leave.
-- Returns the version (0 for none), its sum and parts, when it was put back, whether the body is whole, Redis' clock in
-- microseconds, the number of nodes, whether the node had been counted, and how many changes were added to the trail again.
local whole = 0
if is(KEYS[2], 'hash') and redis.call('HLEN', KEYS[2]) == tonumber(head.parts) then
	whole = 1
end

local nodes, known = 0, 0
if ARGV[1] ~= '' then
	if not is(KEYS[3], 'zset') then
		redis.call('DEL', KEYS[3])
	end
	local longest = tonumber(ARGV[2])
	redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now - longest))
	redis.call('ZREMRANGEBYSCORE', KEYS[3], string.format('%.0f', now + longest), '+inf') -- the clock was set back
	if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
		known = 1
	end
	if ARGV[3] == '1' then
		redis.call('ZREM', KEYS[3], ARGV[1])
	else
		redis.call('ZADD', KEYS[3], string.format('%.0f', now), ARGV[1])
		redis.call('PEXPIRE', KEYS[3], math.ceil(longest / 1000))
	end
	nodes = redis.call('ZCARD', KEYS[3])
end
return {string.format('%.0f', head.version), head.sum, head.parts, head.restored, whole, string.format('%.0f', now), nodes, known, head.noted}
