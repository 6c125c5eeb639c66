-- beat.lua and commit.lua begin with this, so that they agree on what there is. KEYS[1]: head.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local function is(key, kind)
	local found = redis.call('TYPE', key)
	return (found.ok or found) == kind
end

-- A head that is not whole is none. A version of more than 15 digits, which a number might not hold, counts as the greatest.
local head = {version = 0, sum = '', parts = '0', restored = '0', noted = '0'}
if is(KEYS[1], 'hash') then
	local found = redis.call('HMGET', KEYS[1], 'version', 'sum', 'parts', 'restored', 'noted')
	local digits = found[1] and string.match(found[1], '^0*(%d+)$')
	if digits and found[2] and found[3] then
		if #digits > 15 then
			digits = '999999999999999'
		end
		head = {version = tonumber(digits), sum = found[2], parts = found[3], restored = found[4] or '0', noted = found[5] or '0'}
	end
end

