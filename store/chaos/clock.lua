-- A prefix for a script that replaces Redis' clock with the last of ARGV, in microseconds since 1970. The script itself
-- is unchanged. TIME returns that clock, and keys expire by it, in whole milliseconds as in Redis: a key with an expiry
-- is stored without one, and a second key says when it expires.
local redis = (function(real, micros)
	local millis = math.floor(micros / 1000)
	local function expire(key)
		local ends = real.call('GET', key .. '|ends')
		if ends and millis > tonumber(ends) then
			real.call('DEL', key, key .. '|ends')
		end
	end
	local commands = {
		TIME = function()
			return {string.format('%.0f', math.floor(micros / 1000000)), string.format('%.0f', micros % 1000000)}
		end,
		GET = function(call, key)
			expire(key)
			return call('GET', key)
		end,
		MGET = function(call, ...)
			for _, key in ipairs({...}) do
				expire(key)
			end
			return call('MGET', ...)
		end,
		SET = function(call, key, value, option, life, ...)
			if option ~= 'PX' or not tonumber(life) or select('#', ...) > 0 then
				error('clock.lua supports only SET with PX')
			end
			real.call('SET', key .. '|ends', string.format('%.0f', millis + life))
			return call('SET', key, value)
		end,
		DEL = function(call, key)
			return call('DEL', key, key .. '|ends')
		end,
	}
	local function by(call)
		return function(name, ...)
			if not commands[name] then
				error('clock.lua does not support ' .. name)
			end
			return commands[name](call, ...)
		end
	end
	return {call = by(real.call), pcall = by(real.pcall)}
end)(redis, tonumber(table.remove(ARGV)))

