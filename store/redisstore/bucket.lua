-- The arithmetic of buckets that are more than a TAT, integer for integer that of gcra.Bucket. take.lua describes the
-- values. Every number here is an integer below 2^53, which a double holds exactly, or is larger and only compared.
--
-- wholes returns its functions. A script that meets none of these buckets does not call it.
local function wholes(now)
	local fmod, max, min = math.fmod, math.max, math.min
	local most = 9007199254740991
	local lengths = {1000000, 10000000} -- of the slots of a class

	-- muldiv returns n*a/b and the remainder. It goes through the bits of n, so that no product exceeds 2^53. A quotient
	-- above 2^53 is not exact, but is above 2^53.
	local function muldiv(n, a, b)
		local ar = fmod(a, b)
		local aq, q, r, bit = (a - ar) / b, 0, 0, 1
		while bit * 2 <= n do
			bit = bit * 2
		end
		while bit >= 1 do
			q, r = 2 * q, 2 * r
			if n >= bit then
				n, q, r = n - bit, q + aq, r + ar
			end
			if r >= b then
				q, r = q + 1, r - b
			end
			if r >= b then
				q, r = q + 1, r - b
			end
			bit = bit / 2
		end
		return q, r
	end

	-- times returns the debt of n tokens, at most `most`.
	local function times(n, num, den)
		local m, f = muldiv(n, num, den)
		if m >= most then
			return most, 0
		end
		return m, f
	end

	-- tokens returns how many whole tokens a debt is, and the rest in parts of 1/den microseconds.
	local function tokens(m, f, num, den)
		local n, rest = muldiv(den, m, num)
		local left = fmod(rest + f, num)
		return n + (rest + f - left) / num, left
	end

	local function add(m, f, m2, f2, den)
		if f + f2 >= den then
			return m + m2 + 1, f + f2 - den
		end
		return m + m2, f + f2
	end

	local function sub(m, f, m2, f2, den)
		if f < f2 then
			return m - m2 - 1, f + den - f2
		end
		return m - m2, f - f2
	end

	local function less(m, f, m2, f2)
		return m < m2 or m == m2 and f < f2
	end

	local function rescale(m, f, num, den, limit)
		if limit.num == 0 or num == 0 then
			return 0, 0
		end
		local n, rest = tokens(m, f, num, den)
		if n >= 2 * limit.burst then
			return add(limit.cap, limit.capf, limit.cap, limit.capf, limit.den)
		end
		local part, left = muldiv(rest, limit.num, num)
		if left > 0 then
			part = part + 1
		end
		local m1, f1 = muldiv(n, limit.num, limit.den)
		local f2 = fmod(part, limit.den)
		return add(m1, f1, (part - f2) / limit.den, f2, limit.den)
	end

	local function debt(m, f)
		if m < now then
			return 0, 0
		end
		return m - now, f
	end

	-- plus returns the TAT after n tokens were spent at an instant.
	local function plus(m, f, num, den, at, n)
		if m < at then
			m, f = at, 0
		end
		local dm, df = times(n, num, den)
		m, f = add(m, f, dm, df, den)
		if m >= most then
			return most, 0
		end
		return m, f
	end

	local function newest(s)
		return s.newer == 0 and s.older == 0
	end

	-- roll turns what was held in slots that have ended by an instant into debt.
	local function roll(w, instant)
		local ended, back = 0, false
		for c = 1, 2 do
			local s, length = w[c], lengths[c]
			if not newest(s) and s.stop - length > instant then
				local stop = instant + length
				if fmod(s.stop - stop, length) == 0 then
					stop = stop + 1
				end
				s.stop, s.newer, s.older, back = stop, min(s.newer + s.older, most), 0, true
			end
		end
		while true do
			local s, c
			for i = 1, 2 do
				if not newest(w[i]) and w[i].stop <= instant and (not s or w[i].stop < s.stop) then
					s, c = w[i], i
				end
			end
			if not s then
				return ended, back
			end
			if s.older > 0 then
				w.m, w.f = plus(w.m, w.f, w.num, w.den, s.stop, s.older)
				ended = min(ended + s.older, most)
			end
			s.stop, s.older, s.newer = s.stop + lengths[c], s.newer, 0
		end
	end

	local function held(w)
		return min(w[1].newer + w[1].older + w[2].newer + w[2].older, most)
	end

	-- spend makes w.pm and w.pf the debt of an opened bucket.
	local function spend(w, limit)
		local m, f, over = w.pm, w.pf, 0
		if less(limit.cap, limit.capf, m, f) and limit.num > 0 then
			local om, of = sub(m, f, limit.cap, limit.capf, limit.den)
			local rest
			over, rest = tokens(om, of, limit.num, limit.den)
			if rest > 0 then
				over = over + 1
			end
			over = min(over, limit.burst)
			local tm, tf = muldiv(over, limit.num, limit.den)
			m, f = sub(m, f, tm, tf, limit.den)
			if less(limit.cap, limit.capf, m, f) then
				m, f = limit.cap, limit.capf
			end
		end
		w.m, w.f, w.num, w.den, w.over = now + m, f, limit.num, limit.den, over
	end

	-- open brings a bucket to now and to a limit; w.pm and w.pf are then its debt.
	local function open(w, limit)
		if w.num == 0 or limit.num == 0 then
			if w.f > 0 and w.den ~= limit.den then
				w.m, w.f = w.m + 1, 0
			end
			w.num, w.den = limit.num, limit.den
		end
		local over = w.over
		if over > 0 then
			w.m, w.f = plus(w.m, w.f, w.num, w.den, w.m, over)
		end
		local ended
		ended, w.stale = roll(w, now)
		over = over + ended
		local pm, pf = debt(w.m, w.f)
		local own = w.num == limit.num and w.den == limit.den
		w.same = own or pm == 0 and pf == 0
		if w.fm + (w.ff > 0 and 1 or 0) <= now then
			w.fm, w.ff, w.fnum, w.fden = 0, 0, 0, 0
		end
		if not own then
			local fm, ff = 0, 0
			if w.fnum == limit.num and w.fden == limit.den then
				fm, ff = debt(w.fm, w.ff)
			end
			w.fm, w.ff, w.fnum, w.fden = 0, 0, 0, 0
			if pm > 0 or pf > 0 then
				w.fm, w.ff, w.fnum, w.fden, w.stale = w.m, w.f, w.num, w.den, true
				pm, pf = rescale(pm, pf, w.num, w.den, limit)
			elseif held(w) > 0 then
				w.stale = true
			end
			if less(pm, pf, fm, ff) then
				pm, pf = fm, ff
			end
		end
		local mm, mf = muldiv(min(over, limit.burst), limit.num, limit.den)
		mm, mf = add(limit.cap, limit.capf, mm, mf, limit.den)
		if less(mm, mf, pm, pf) then
			pm, pf, w.stale = mm, mf, true
		end
		w.pm, w.pf = pm, pf
		spend(w, limit)
	end

	-- room returns how many tokens are neither spent nor held.
	local function room(w, limit)
		if limit.num == 0 then
			return limit.burst - held(w)
		end
		if less(limit.cap, limit.capf, w.pm, w.pf) then
			return -held(w)
		end
		local m, f = sub(limit.cap, limit.capf, w.pm, w.pf, limit.den)
		return (tokens(m, f, limit.num, limit.den)) - held(w)
	end

	-- hold adds n tokens to the present slot of a class, and returns the name of the hold.
	local function hold(w, class, n)
		local s = w[class]
		if newest(s) then
			s.stop = now + lengths[class]
		end
		s.newer = min(s.newer + n, most)
		return s.stop * 2 + class - 1
	end

	-- leasable returns how many tokens a lease can hold when cost tokens more are spent.
	local function leasable(w, limit, cost)
		return max(min(room(w, limit) - cost, math.floor(limit.burst / 2) - w[1].newer - w[1].older), 0)
	end

	local function release(w, name, n)
		local class = fmod(name, 2) + 1
		local stop, s = (name - class + 1) / 2, w[class]
		if newest(s) then
			return false
		elseif stop == s.stop then
			s.newer = max(s.newer - n, 0)
		elseif stop + lengths[class] == s.stop then
			s.older = max(s.older - n, 0)
		else
			return false
		end
		return true
	end

	-- charge adds to the debt, up to two capacities, and returns how many tokens it cut off.
	local function charge(w, limit, cm, cf)
		local lost = 0
		w.pm, w.pf = add(w.pm, w.pf, cm, cf, limit.den)
		local mm, mf = add(limit.cap, limit.capf, limit.cap, limit.capf, limit.den)
		if less(mm, mf, w.pm, w.pf) then
			local om, of = sub(w.pm, w.pf, mm, mf, limit.den)
			local rest
			lost, rest = tokens(om, of, limit.num, limit.den)
			if rest > 0 then
				lost = lost + 1
			end
			w.pm, w.pf = mm, mf
		end
		spend(w, limit)
		return lost
	end

	-- settle ends a hold of n tokens when actual were spent. With the name 0 it only charges them.
	local function settle(w, limit, name, n, actual)
		if limit.num == 0 then
			n, actual = 1, 0
		end
		local lost = max(actual - 2 * limit.burst, 0)
		actual = actual - lost
		local cm, cf = muldiv(actual, limit.num, limit.den)
		if name ~= 0 and not release(w, name, n) then
			local class = fmod(name, 2) + 1
			local stop, length = (name - class + 1) / 2, lengths[class]
			if w.r > 0 and stop - length <= w.r then
				return 0
			elseif stop + length <= now then
				-- The slot has ended, and what it held became debt. What of it has drained since is paid again.
				local pm, pf = times(n, limit.num, limit.den)
				pm = pm - (now - stop - length)
				if pm >= 0 then
					if not less(pm, pf, cm, cf) then
						return lost
					end
					cm, cf = sub(cm, cf, pm, pf, limit.den)
				end
			end
		end
		if limit.num == 0 or actual == 0 then
			return lost
		end
		return lost + charge(w, limit, cm, cf)
	end

	local function renew(w, limit, name, n)
		if limit.num == 0 then
			n = 1
		end
		release(w, name, n)
		return hold(w, 2, n)
	end

	-- full returns when the bucket is full and its marker over, if nothing more happens to it.
	local function full(w)
		local c = {m = w.m, f = w.f, num = w.num, den = w.den}
		local last = max(w.fm + (w.ff > 0 and 1 or 0), w.r > 0 and w.r + w.l or 0)
		if w.over > 0 then
			c.m, c.f = plus(c.m, c.f, c.num, c.den, c.m, w.over)
		end
		for i = 1, 2 do
			local s = w[i]
			c[i] = {stop = s.stop, newer = s.newer, older = s.older}
			if s.newer > 0 then
				last = max(last, s.stop + lengths[i])
			elseif s.older > 0 then
				last = max(last, s.stop)
			end
		end
		roll(c, last)
		return max(last, c.m + (c.f > 0 and 1 or 0))
	end

	local function plain(w)
		return w.over == 0 and w.fm == 0 and w.r == 0 and newest(w[1]) and newest(w[2])
	end

	return {open = open, spend = spend, room = room, held = held, hold = hold, leasable = leasable, settle = settle, renew = renew,
		full = full, plain = plain, times = muldiv, add = add}
end
