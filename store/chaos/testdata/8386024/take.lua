-- One call decides a batch of independent requests. Arithmetic, clamping and merging are those of package ratelimit
-- (bucket.go), integer for integer: every number here is a whole one below 2^53, which a double holds exactly.
--
-- KEYS  the buckets of the requests, one for each limit, in order
-- ARGV  the number of kinds, and each kind: its mode (0 only tells the state, 1 charges, 2 can never be admitted), its
--       number of limits, and for each limit: denominator, capacity and cost (each in microseconds and fraction)
--       then, for each request: the number of its kind, negative if known debts follow; for each limit then: debt
--       (microseconds, fraction), TAT (microseconds, fraction, denominator; 0 for none), when it was seen
--       If nothing follows the kinds, all requests are of the first, and nothing is known.
--
-- It returns the instant, the number of values that were not ours, and for each request the debts of its limits, in
-- microseconds, each followed by its fraction where the denominator is not 1. The first of a request that was denied is
-- -1 minus the debt.
--
-- A value is "1:TAT" or "1:TAT:fraction:denominator:reset:life". 1 is the version of the format. TAT is the instant at
-- which the bucket is full. reset is the marker that a reset leaves, its instant, or 0; for life microseconds from then
-- on, debts that were seen before it are ignored.
--
-- Everything is read and decided before anything is written, so an error from Redis means that nothing was.

local match, format, call, KEYS, ARGV = string.match, string.format, redis.call, KEYS, ARGV

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

-- parse takes nothing on trust. It returns TAT, and for the longer form fraction, denominator, reset and life; or
-- nothing if the value is not one of ours.
local function parse(value)
	if #value > 80 then
		return
	end
	local m, f, d, r, l = match(value, '^1:(%d+)$')
	if m then
		if #m <= 16 and m + 0 < 9007199254740992 then
			return m + 0
		end
		return
	end
	m, f, d, r, l = match(value, '^1:(%d+):(%d+):(%d+):(%d+):(%d+)$')
	if m and #m <= 16 and #f <= 10 and #d <= 10 and #r <= 16 and #l <= 15 then
		m, f, d, r, l = m + 0, f + 0, d + 0, r + 0, l + 0
		if m < 9007199254740992 and d >= 1 and d <= 2147483648 and f < d
			and r < 9007199254740992 and l <= 315360000000001 then
			return m, f, d, r, l
		end
	end
end

local kinds, at = {}, 1
for k = 1, ARGV[1] + 0 do
	local kind = {mode = ARGV[at + 1] + 0, n = ARGV[at + 2] + 0}
	at = at + 2
	for i = 1, kind.n do
		-- with what is found of it in the request at hand: debt, and whether it was clamped
		kind[i] = {den = ARGV[at + 1] + 0, cap = ARGV[at + 2] + 0, capf = ARGV[at + 3] + 0,
			cost = ARGV[at + 4] + 0, costf = ARGV[at + 5] + 0, m = 0, f = 0, clamped = false}
		at = at + 5
	end
	kinds[k] = kind
end
local alike, nkeys = at == #ARGV, #KEYS

-- The buckets, by key: TAT, and of those that have a fraction or a marker the rest.
local tat, odd = {}, {}
local changed, foreign = {}, 0
local values = nkeys > 1 and redis.pcall('MGET', unpack(KEYS)) or {} -- an error, and none of them, without the right to
local answer = {now, 0}
local nkey, nanswer = 0, 2

while nkey < nkeys do
	local k, known = 1, false
	if not alike then
		at = at + 1
		k = ARGV[at] + 0
		if k < 0 then
			k, known = -k, true
		end
	end
	local kind = kinds[k]
	local n = kind.n
	local allowed = kind.mode < 2
	for i = 1, n do
		local limit, key = kind[i], KEYS[nkey + i]
		local den, cap, capf = limit.den, limit.cap, limit.capf
		local m, o = tat[key], odd[key]
		if not m then
			local value = values[nkey + i] or redis.pcall('GET', key) -- MGET takes for nothing what is not a string
			local f, d, r, l
			if not value then
				m = 0
			elseif type(value) == 'string' then
				m, f, d, r, l = parse(value)
			elseif not string.find(value.err or '', 'WRONGTYPE', 1, true) then
				call('GET', key) -- fails again, in Redis' own words
			end
			if not m then
				m, foreign, changed[key] = 0, foreign + 1, true
			elseif f then
				r = math.min(r, now)
				if now >= r + l then
					r, l = 0, 0
				end
				o = {f = f, d = d, r = r, l = l}
				odd[key] = o
			end
			tat[key] = m
		end
		-- Bucket.DebtAt
		local f = 0
		m = m - now
		if o and o.f > 0 then
			f = o.f
			if o.d ~= den then
				m, f = m + 1, 0
			end
		end
		if m < 0 then
			m, f = 0, 0
		end
		local clamped = m > cap or m == cap and f > capf
		if clamped then
			m, f = cap, capf
		end
		if known then
			local km, kf, tm, tf, td, seen = ARGV[at + 1] + 0, ARGV[at + 2] + 0, ARGV[at + 3] + 0, ARGV[at + 4] + 0, ARGV[at + 5] + 0, ARGV[at + 6] + 0
			at = at + 6
			if seen == 0 or seen > (o and o.r or 0) then
				-- Bucket.Merge
				if kf >= den then
					km, kf = km + 1, 0
				end
				if td > 0 then
					if tf >= td then
						tm, tf = tm + 1, 0
					end
					tm = tm - now
					if tf ~= 0 and td ~= den then
						tm, tf = tm + 1, 0
					end
					if tm < 0 then
						tm, tf = 0, 0
					end
					if tm < km or tm == km and tf < kf then
						km, kf = tm, tf
					end
				end
				if km > cap or km == cap and kf > capf then
					km, kf = cap, capf
				end
				if km > m or km == m and kf > f then
					m, f = km, kf
				end
			end
		end
		local am, af = m + limit.cost, f + limit.costf
		if af >= den then
			am, af = am + 1, af - den
		end
		if am > cap or am == cap and af > capf then
			allowed = false
		end
		limit.m, limit.f, limit.clamped = m, f, clamped
	end

	local charge = allowed and kind.mode == 1
	for i = 1, n do
		local limit = kind[i]
		local den, m, f = limit.den, limit.m, limit.f
		if charge then
			m, f = m + limit.cost, f + limit.costf
			if f >= den then
				m, f = m + 1, f - den
			end
		end
		if charge or limit.clamped then
			local key = KEYS[nkey + i]
			local o = odd[key]
			tat[key], changed[key] = now + m, true
			if o then
				o.f, o.d = f, den
			elseif f > 0 then
				odd[key] = {f = f, d = den, r = 0, l = 0}
			end
		end
		nanswer = nanswer + 1
		answer[nanswer] = (allowed or i > 1) and m or -1 - m
		if den > 1 then
			nanswer = nanswer + 1
			answer[nanswer] = f
		end
	end
	nkey = nkey + n
end

local short, long, ms = '1:%d', '1:%d:%d:%d:%d:%d', '%d'
if format(ms, 9007199254740991) ~= '9007199254740991' then -- Redis was built for 32 bits
	short, long, ms = '1:%.0f', '1:%.0f:%.0f:%.0f:%.0f:%.0f', '%.0f'
end
for key in next, changed do
	-- A value lives until its bucket is full and its marker is over: rounded up, since a full bucket is as good as none.
	local m, o = tat[key], odd[key]
	local value, left = nil, m - now
	if o and (o.f > 0 or o.r > 0) then
		value = format(long, m, o.f, o.f > 0 and o.d or 1, o.r, o.l)
		left = math.max(o.f > 0 and left + 1 or left, o.r + o.l - now)
	else
		value = format(short, m)
	end
	call('SET', key, value, 'PX', format(ms, math.max(1, math.ceil(left / 1000))))
end

answer[2] = foreign
return answer
