-- Adds a change to the trail that Redis has lost.
-- KEYS: head, trail, undo, the staged undo. ARGV: the version, its note in the trail, the parts of the undo.
-- Returns 1 if it was missing.
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 or redis.call('HLEN', KEYS[4]) ~= tonumber(ARGV[3]) then
	return {0}
end
for i = 0, tonumber(ARGV[3]) - 1 do
	redis.call('HSET', KEYS[3], ARGV[1] .. ':' .. i, redis.call('HGET', KEYS[4], i))
end
redis.call('DEL', KEYS[4])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HINCRBY', KEYS[1], 'noted', 1) -- the nodes read the trail again
return {1}
