-- One call decides a batch of independent requests. Arithmetic, clamping and merging are those of package gcra,
-- integer for integer: every number here is an integer below 2^53, which a double holds exactly.
--
-- KEYS  the buckets of the requests, one for each limit, in order
-- ARGV  1 if two limits of one name have different intervals, 2 if known debts follow in brief, or 0; the number of kinds, and each kind: its mode, its cost in tokens, the least that is accepted instead or 0, its
--       number of limits, and for each limit: num and den of its interval (a token takes num/den microseconds; 0/1 for
--       a loan), the end of its values, burst, capacity and cost (each in microseconds and fraction).
--       Then, for each request: the number of its kind, negative if known debts follow; then for each limit: debt
--       (microseconds, fraction), TAT (microseconds, fraction, 1; or three times 0), time of the observation. For a
--       settlement: the number of its kind, how many tokens were held and how many were spent; then for each limit the
--       name of the hold, or 0. For a lease, how many tokens it asks for follow the number of its kind.
--       If nothing follows the kinds, all requests are of the first kind, and nothing is known. In brief, all requests are
--       of the first kind, too, and for each limit follow: debt, TAT, or 2^53 - 1 for none, and time of the observation,
--       in microseconds without a fraction; three times 0 if nothing is known.
--
-- The modes: 0 returns the state, 1 spends the cost, 2 is always denied, 3 holds the cost, 4 spends it and holds loans,
-- 5 spends it and holds a lease, under no loan, 6 settles, 7 renews.
--
-- It returns the time, the number of foreign values, and for each request the debts of its limits, in microseconds, each
-- followed by its fraction if the denominator is not 1. The first debt of a denied request is returned as -1 minus the
-- debt. The answer to a request with a bucket that is more than a TAT, or of a mode from 3 on, is instead: -2^53, plus
-- 1 if it is admitted; the tokens that were granted, or that could not be charged; of a lease, its tokens; and for each
-- limit debt, fraction, tokens held and name.
--
-- A value is one of
--
--   1:TAT:FRACTION:DEN:E:N     spent under an interval of N*10^E/DEN microseconds, E < 16
--   1:TAT                      of an unknown interval: versions up to 8386024 wrote it, and read all that begin with 1
--   1:TAT:FRACTION:DEN:R:L     with R >= 16: filled by a reset at the instant R. For L microseconds from then on debts
--                              that were observed before are ignored. The interval is unknown. R and L may be 0.
--   2:TAT:FRACTION:NUM:DEN:OVER:FORMER:FRACTION:NUM:DEN:R:L:STOP:NEWER:OLDER:STOP:NEWER:OLDER
--                              all of a gcra.Bucket: its slots are of the short and of the long class
--
-- Everything is read and decided before anything is written, so after an error from Redis nothing is written.

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

do
	local answer = usual(now)
	if answer then
		return answer
	end
end

local match, format, call, KEYS, ARGV = string.match, string.format, redis.call, KEYS, ARGV

-- number returns a number below 2^53, or nothing.
local function number(s)
	if s and #s <= 16 and s + 0 < 9007199254740992 then
		return s + 0
	end
end

-- whole returns a bucket that is a TAT as a table.
local function whole(m, f, num, den)
	return {m = m, f = f, num = num, den = den, over = 0, fm = 0, ff = 0, fnum = 0, fden = 0, r = 0, l = 0,
		{stop = 0, newer = 0, older = 0}, {stop = 0, newer = 0, older = 0}}
end

-- parse returns the bucket in a value as a table, or nothing if the value is foreign.
local function parse(value)
	if #value > 300 then
		return
	end
	local m, f, d, r, l = match(value, '^1:(%d+):(%d+):(%d+):(%d+):(%d+)$')
	if m then
		m, f, d, r, l = number(m), number(f), number(d), number(r), number(l)
		if not (m and f and d and r and l) or d < 1 or d > 2147483648 or f >= d or l > 315360000000001 then
			return
		end
		if r < 16 then
			local num = l * 10 ^ r
			return num <= 315360000000000 and whole(m, f, num, d) or nil
		end
		local w = whole(m, f, 0, d)
		w.r = math.min(r, now)
		w.l = l
		if now >= w.r + l then
			w.r, w.l = 0, 0
		end
		return w
	end
	if not match(value, '^2:[%d:]+$') then
		return
	end
	local n = {}
	for field in string.gmatch(value, '[^:]+') do
		n[#n + 1] = number(field)
	end
	if #n ~= 18 or n[3] >= n[5] or n[4] > 315360000000000 or n[5] > 2147483648 or n[6] > 4503599627370496
		or n[8] > n[10] or n[9] > 315360000000000 or n[10] > 2147483648 then
		return
	end
	local w = whole(n[2], n[3], n[4], n[5])
	w.over, w.fm, w.ff, w.fnum, w.fden = n[6], n[7], n[8], n[9], n[10]
	w.r, w.l = math.min(n[11], now), n[12]
	if now >= w.r + w.l then
		w.r, w.l = 0, 0
	end
	for c = 1, 2 do
		local s, at = w[c], 10 + 3 * c
		s.stop, s.newer, s.older = n[at], n[at + 1], n[at + 2]
	end
	return w
end

local mixed, brief = ARGV[1] == '1', ARGV[1] == '2'
local kinds, at = {}, 2
for k = 1, ARGV[2] + 0 do
	local kind = {mode = ARGV[at + 1] + 0, tokens = ARGV[at + 2] + 0, least = ARGV[at + 3] + 0, n = ARGV[at + 4] + 0}
	kind.plain = kind.mode < 3 and kind.least == 0 and not mixed
	at = at + 4
	for i = 1, kind.n do
		-- m, f and clamped are the debt in the current request, and whether it was clamped
		local limit = {num = ARGV[at + 1] + 0, den = ARGV[at + 2] + 0, rest = ARGV[at + 3], burst = ARGV[at + 4] + 0,
			cap = ARGV[at + 5] + 0, capf = ARGV[at + 6] + 0, cost = ARGV[at + 7] + 0, costf = ARGV[at + 8] + 0,
			m = 0, f = 0, clamped = false}
		limit.tail = ':0:' .. limit.rest
		kind.plain = kind.plain and limit.num > 0
		kind[i] = limit
		at = at + 8
	end
	kinds[k] = kind
end
local alike, nkeys = brief or at == #ARGV, #KEYS

-- The buckets, by key. Of one that is a TAT of the interval of its limit: TAT, and its fraction if it has one. The others,
-- and all if the batch is mixed, are in odd. A bucket that has changed is in changed, with a limit of its interval.
local tat, frac, odd = {}, {}, {}
local changed, foreign = {}, 0
local values = nkeys > 1 and redis.pcall('MGET', unpack(KEYS)) or {} -- without the right to MGET an error, which has no values
local answer = {now, 0}
local nkey, nanswer = 0, 2

-- load reads the bucket at KEYS[n] for a limit, and returns its TAT, or nothing if it is odd.
local function load(n, key, limit)
	local value = values[n] or redis.pcall('GET', key) -- MGET returns nothing for a value that is not a string
	if value and type(value) ~= 'string' then
		if not string.find(value.err or '', 'WRONGTYPE', 1, true) then
			call('GET', key) -- fails again, with Redis' own error
		end
		value = ''
	end
	if value and not mixed then
		local m, f, rest = match(value, '^1:(%d+):(%d+):(.*)$')
		if rest == limit.rest then
			m, f = number(m), number(f)
			if m and f and f < limit.den then
				tat[key], frac[key] = m, f > 0 and f or nil
				return m
			end
		end
	end
	if value then
		local m = number(match(value, '^1:(%d+)$'))
		odd[key] = m and whole(m, 0, 0, 1) or parse(value)
		if odd[key] then
			return
		end
		foreign = foreign + 1
		changed[key] = limit
	end
	if mixed then
		odd[key] = whole(0, 0, limit.num, limit.den)
		return
	end
	tat[key] = 0
	return 0
end

local B -- the functions of bucket.lua

-- open returns a copy of the bucket at KEYS[n], as it is now and for a limit.
local function open(n, key, limit)
	if not tat[key] and not odd[key] then
		load(n, key, limit)
	end
	local o, w = odd[key], nil
	if o then
		w = whole(o.m, o.f, o.num, o.den)
		w.over, w.fm, w.ff, w.fnum, w.fden, w.r, w.l = o.over, o.fm, o.ff, o.fnum, o.fden, o.r, o.l
		for c = 1, 2 do
			w[c].stop, w[c].newer, w[c].older = o[c].stop, o[c].newer, o[c].older
		end
	else
		w = whole(tat[key], frac[key] or 0, limit.num, limit.den)
	end
	B.open(w, limit)
	return w
end

-- keep makes w the bucket.
local function keep(key, w, limit)
	changed[key] = limit
	if B.plain(w) and not mixed and limit.num > 0 then
		tat[key], frac[key], odd[key] = w.m, w.f > 0 and w.f or nil, nil
	else
		odd[key], tat[key] = w, nil
	end
end

-- knowledge returns what the caller knows of a bucket, at ARGV[at + 1] and on, and goes behind it.
local function knowledge()
	if brief then
		at = at + 3
		return ARGV[at - 2] + 0, 0, ARGV[at - 1] + 0, 0, 1, ARGV[at] + 0
	end
	at = at + 6
	return ARGV[at - 5] + 0, ARGV[at - 4] + 0, ARGV[at - 3] + 0, ARGV[at - 2] + 0, ARGV[at - 1] + 0, ARGV[at] + 0
end

-- merge returns the debt that the caller knows, if it counts and is larger than m and f.
local function merge(limit, reset, m, f, km, kf, tm, tf, td, seen)
	if seen ~= 0 and seen <= reset then
		return m, f
	end
	if kf >= limit.den then
		km, kf = km + 1, 0
	end
	if td > 0 then
		tm = tm - now
		if tm < 0 then
			tm, tf = 0, 0
		end
		if tm < km or tm == km and tf < kf then
			km, kf = tm, tf
		end
	end
	if km > limit.cap or km == limit.cap and kf > limit.capf then
		km, kf = limit.cap, limit.capf
	end
	if km > m or km == m and kf > f then
		return km, kf
	end
	return m, f
end

-- decide is for a request that is not plain, or that has a bucket which is more than a TAT.
local function decide(kind, known)
	local n, mode = kind.n, kind.mode
	B = B or wholes(now)
	local opened, names, granted, free, lease = {}, {}, kind.tokens, true, 0
	local kept, actual
	if mode > 5 then
		kept, actual = ARGV[at + 1] + 0, ARGV[at + 2] + 0
		at = at + 2
	elseif mode == 5 then
		lease = ARGV[at + 1] + 0
		at = at + 1
	end
	for i = 1, n do
		local limit, key = kind[i], KEYS[nkey + i]
		local w = open(nkey + i, key, limit)
		opened[i], names[i] = w, 0
		if known then
			local m, f = merge(limit, w.r, w.pm, w.pf, knowledge())
			if w.same and limit.num > 0 then
				w.pm, w.pf = m, f
			end
		end
		if mode < 6 and limit.num == 0 then
			free = free and (kind.tokens <= 0 or B.held(w) < limit.burst)
		elseif mode < 6 then
			granted = math.min(granted, math.max(B.room(w, limit), 0))
		end
	end
	local least = kind.least > 0 and kind.least or kind.tokens
	local allowed = mode > 5 or free and granted >= least and kind.tokens >= 0 and mode ~= 2
	for i = 1, lease > 0 and n or 0 do
		lease = allowed and math.min(lease, B.leasable(opened[i], kind[i], granted)) or 0
	end
	local lost = 0
	for i = 1, n do
		local limit, key, w = kind[i], KEYS[nkey + i], opened[i]
		if mode == 6 then
			lost = math.max(lost, B.settle(w, limit, ARGV[at + i] + 0, kept, actual))
			keep(key, w, limit)
		elseif mode == 7 then
			names[i] = ARGV[at + i] + 0
			if names[i] ~= 0 then
				names[i] = B.renew(w, limit, names[i], kept)
			end
			keep(key, w, limit)
		elseif allowed and granted + lease > 0 then
			B.spend(w, limit)
			if mode > 2 and (limit.num == 0 or mode == 3) then
				names[i] = B.hold(w, 1, limit.num == 0 and 1 or granted)
			else
				local m, f = B.times(granted, limit.num, limit.den)
				w.pm, w.pf = B.add(w.pm, w.pf, m, f, limit.den)
				B.spend(w, limit)
				names[i] = lease > 0 and B.hold(w, 1, lease) or 0
			end
			keep(key, w, limit)
		elseif w.stale then
			B.spend(w, limit)
			keep(key, w, limit)
		end
	end
	if mode > 5 then
		at = at + n
	end
	answer[nanswer + 1] = -9007199254740992 + (allowed and 1 or 0)
	answer[nanswer + 2] = mode > 5 and lost or granted
	nanswer = nanswer + 2
	if mode == 5 then
		nanswer = nanswer + 1
		answer[nanswer] = lease
	end
	for i = 1, n do
		local w = opened[i]
		answer[nanswer + 1], answer[nanswer + 2], answer[nanswer + 3], answer[nanswer + 4] = w.pm, w.pf, B.held(w), names[i]
		nanswer = nanswer + 4
	end
end

while nkey < nkeys do
	local k, known = 1, brief
	if not alike then
		at = at + 1
		k = ARGV[at] + 0
		if k < 0 then
			k, known = -k, true
		end
	end
	local kind = kinds[k]
	local n = kind.n
	local plain, allowed, start = kind.plain, kind.mode < 2, at
	for i = 1, plain and n or 0 do
		local limit, key = kind[i], KEYS[nkey + i]
		local m = tat[key]
		if not m and not odd[key] then
			local digits, tail = match(values[nkey + i] or '', '^1:(%d+)(.+)$')
			if tail == limit.tail and #digits == 16 and digits + 0 < 9007199254740992 then
				m = digits + 0
				tat[key] = m
			else
				m = load(nkey + i, key, limit)
			end
		end
		if not m then
			plain, at = false, start
			break
		end
		local den, cap, capf = limit.den, limit.cap, limit.capf
		-- Rate.DebtAt
		local f = den > 1 and frac[key] or 0
		m = m - now
		if m < 0 then
			m, f = 0, 0
		end
		local clamped = m > cap or m == cap and f > capf
		if clamped then
			m, f = cap, capf
		end
		if known then
			m, f = merge(limit, 0, m, f, knowledge())
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
	if not plain then
		decide(kind, known)
	else
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
				tat[key], changed[key] = now + m, limit
				if den > 1 then
					frac[key] = f > 0 and f or nil
				end
			end
			nanswer = nanswer + 1
			answer[nanswer] = (allowed or i > 1) and m or -1 - m
			if den > 1 then
				nanswer = nanswer + 1
				answer[nanswer] = f
			end
		end
	end
	nkey = nkey + n
end

local short, fraction, long, ms = '1:%d%s', '1:%d:%d:%s', '2' .. string.rep(':%d', 17), '%d'
if format(ms, 9007199254740991) ~= '9007199254740991' then -- Redis was built for 32 bits
	short, fraction, long, ms = '1:%.0f%s', '1:%.0f:%.0f:%s', '2' .. string.rep(':%.0f', 17), '%.0f'
end
for key, limit in next, changed do
	-- A value lives until its bucket is full and its marker ends, rounded up: a full bucket equals an absent one.
	local m, f, w = tat[key], frac[key], odd[key]
	local value, left
	if m and not f then
		value, left = format(short, m, limit.tail), m - now
	elseif m then
		value, left = format(fraction, m, f, limit.rest), m - now + 1
	elseif w.num > 0 and w.num == limit.num and w.den == limit.den and B.plain(w) then
		value, left = format(fraction, w.m, w.f, limit.rest), B.full(w) - now
	else
		value = format(long, w.m, w.f, w.num, w.den, w.over, w.fm, w.ff, w.fnum, w.fden, w.r, w.l,
			w[1].stop, w[1].newer, w[1].older, w[2].stop, w[2].newer, w[2].older)
		left = (B or wholes(now)).full(w) - now
	end
	call('SET', key, value, 'PX', format(ms, math.max(1, math.ceil(left / 1000))))
end

answer[2] = foreign
return answer
