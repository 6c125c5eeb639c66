-- Puts a new version in place of the expected one, or the last good copy of a node in place of none or an older one.
-- KEYS: head, body, trail, undo, the staged body, the staged undo.
-- ARGV: the version that is replaced or, if 1 comes last, that is put back; the sum and parts of the new body; the parts of
-- the undo; the note for the trail; the channel; how many changes and bytes of undo are kept; for how long, in microseconds,
-- nothing changes after a version was put back; 1 to put back; the version that the undo leads to; the one that the new
-- version must be greater than.
-- Returns what came of it, and the version or a time in microseconds.
local version, sum, restored = head.version, head.sum, tonumber(head.restored) or 0

-- What was staged for nothing would stay for a minute.
local function refused(outcome, n)
	redis.call('DEL', KEYS[5], KEYS[6])
	return {outcome, string.format('%.0f', n)}
end

local given = tonumber(ARGV[1])
local back = ARGV[9] == '1'
if back and (version > given or version == given and sum ~= ARGV[2]) or not back and version ~= given then
	return refused('changed', version)
end
if not back and restored <= now and now - restored < tonumber(ARGV[8]) then
	return refused('settling', tonumber(ARGV[8]) - (now - restored))
end
if redis.call('HLEN', KEYS[5]) ~= tonumber(ARGV[3]) or redis.call('HLEN', KEYS[6]) ~= tonumber(ARGV[4]) then
	return refused('unstaged', 0)
end

local new = given
if not back then
	new = math.max(tonumber(ARGV[12]) + 1, math.floor(now / 1000))
end
local name = string.format('%.0f', new)
if not is(KEYS[1], 'hash') then
	redis.call('DEL', KEYS[1])
end
redis.call('RENAME', KEYS[5], KEYS[2])
redis.call('PERSIST', KEYS[2])
redis.call('HSET', KEYS[1], 'version', name, 'sum', ARGV[2], 'parts', ARGV[3])
if back and version < given then
	redis.call('HSET', KEYS[1], 'restored', string.format('%.0f', now))
end

if not back then
	for _, key in ipairs({KEYS[3], KEYS[4]}) do
		if not is(key, 'hash') then
			redis.call('DEL', key)
		end
	end
	for i = 0, tonumber(ARGV[4]) - 1 do
		redis.call('HSET', KEYS[4], name .. ':' .. i, redis.call('HGET', KEYS[6], i))
	end
	redis.call('DEL', KEYS[6])
	redis.call('HSET', KEYS[3], name, ARGV[11] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])

	local all = redis.call('HKEYS', KEYS[3])
	table.sort(all, function(a, b) return (tonumber(a) or 0) > (tonumber(b) or 0) end)
	local bytes = 0
	for n, which in ipairs(all) do
		local parts = tonumber(string.match(redis.call('HGET', KEYS[3], which), '^%d+ (%d+) ') or '') or 0
		for i = 0, parts - 1 do
			bytes = bytes + redis.call('HSTRLEN', KEYS[4], which .. ':' .. i)
		end
		if n > tonumber(ARGV[6]) + 0 or bytes > tonumber(ARGV[7]) and n > 1 then
			for i = 0, parts - 1 do
				redis.call('HDEL', KEYS[4], which .. ':' .. i)
			end
			redis.call('HDEL', KEYS[3], which)
		end
	end
end
redis.call('PUBLISH', ARGV[10], name)
return {'done', name}
