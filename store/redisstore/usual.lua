-- The short path of take.lua, which describes the arguments, the answer and the values: all requests spend the same cost
-- under one limit whose tokens take whole microseconds, and each bucket is a TAT.
--
-- usual decides such a batch at the time now and returns the answer, or returns nothing and has written nothing.
local function usual(now)
	local match, format, ceil, call, KEYS, ARGV = string.match, string.format, math.ceil, redis.call, KEYS, ARGV
	local n, brief = #KEYS, ARGV[1] == '2'
	if #ARGV ~= (brief and 14 + 3 * n or 14) or ARGV[1] == '1' or ARGV[3] ~= '1' or ARGV[5] ~= '0' or ARGV[8] ~= '1' or ARGV[7] == '0' then
		return
	end
	local tail, cap, cost = ':0:' .. ARGV[9], ARGV[11] + 0, ARGV[13] + 0
	local pattern = '^1:(%d+)' .. tail .. '$'
	local values = n > 1 and redis.pcall('MGET', unpack(KEYS)) or {} -- without the right to MGET an error, which has no values
	local answer, tats = {now, 0}, {} -- tats has the buckets that change, by key
	for i = 1, n do
		local key = KEYS[i]
		local m = tats[key]
		if not m then
			local value = values[i] or redis.pcall('GET', key) -- MGET returns nothing for a value that is not a string
			m = now
			if value then
				local digits = type(value) == 'string' and match(value, pattern)
				if not digits or #digits ~= 16 or digits + 0 >= 9007199254740992 then
					return
				end
				m = digits + 0
			end
		end
		-- Rate.DebtAt
		m = m - now
		if m < 0 then
			m = 0
		elseif m > cap then
			m = cap
			tats[key] = now + m
		end
		if brief then -- a TAT has no marker of a reset, whatever the time of the observation
			local debt, tat = ARGV[12 + 3 * i] + 0, ARGV[13 + 3 * i] - now
			if tat < debt then
				debt = tat
			end
			if debt > cap then
				debt = cap
			end
			if debt > m then
				m = debt
			end
		end
		local after = m + cost
		if after <= cap then
			tats[key], answer[i + 2] = now + after, after
		else
			answer[i + 2] = -1 - m
		end
	end
	local text, ms = '1:%d' .. tail, '%d'
	if format(ms, 9007199254740991) ~= '9007199254740991' then -- Redis was built for 32 bits
		text, ms = '1:%.0f' .. tail, '%.0f'
	end
	for key, m in next, tats do
		-- A value lives until its bucket is full, in milliseconds, rounded up.
		call('SET', key, format(text, m), 'PX', format(ms, ceil((m - now) / 1000)))
	end
	return answer
end
