package storetest

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

var policyClauses = []clause{
	{name: "SeveralLimitsTogether", promise: "either all limits admit a call, or none is charged", check: checkTogether},
	{name: "SharedLimit", promise: "two policies that name the same limit share its bucket", check: checkShared},
	{name: "NamesSeparate", promise: "limits with different names have different buckets", check: checkNames},
	{name: "NoLimits", promise: "a request or Reset without limits, or with more than MaxLimits, is an error and charges nothing", check: checkNoLimits},
	{name: "DebtsInOrder", promise: "the debts of a decision are in the order of the limits, and the rest are 0", check: checkOrder},
}

func checkTogether(p *probe) {
	second, hour := ratelimit.PerSecond(10).WithBurst(2), ratelimit.PerHour(3600).WithBurst(5).Named("hourly")
	for _, order := range []struct {
		key    string
		policy []store.Limit
		swap   bool
	}{
		{"together", policy(second, hour), false},
		{"together, the other way round", policy(hour, second), true},
	} {
		want := func(when string, d store.Decision, second, hour int64) {
			if order.swap {
				second, hour = hour, second
			}
			p.debts(when, order.policy, d, micros(second), micros(hour))
		}
		want("after a call", p.admit(order.key, order.policy, 2), 200_000, 2_000_000)
		for range 10 {
			want("denied by the limit per second", p.deny(order.key, order.policy, 1), 200_000, 2_000_000)
		}
		p.advance(200 * time.Millisecond)
		want("after a call", p.admit(order.key, order.policy, 2), 200_000, 3_800_000)
		p.advance(200 * time.Millisecond)
		for range 10 {
			want("denied by the limit per hour", p.deny(order.key, order.policy, 2), 0, 3_600_000)
		}
		want("after a call", p.admit(order.key, order.policy, 1), 100_000, 4_600_000)
	}

	// Each of four limits can deny.
	for at := range store.MaxLimits {
		limits := make([]ratelimit.Limit, store.MaxLimits)
		for i, name := range []string{"a", "b", "c", "d"} {
			limits[i] = ratelimit.PerMinute(60).WithBurst(10).Named(name)
		}
		limits[at].Burst = 3
		four, key := policy(limits...), "four "+limits[at].Name
		p.admit(key, four, 3)
		p.debts("in a denial", four, p.deny(key, four, 1), micros(3_000_000), micros(3_000_000), micros(3_000_000), micros(3_000_000))
		p.advance(time.Second)
		p.debts("after a call", four, p.admit(key, four, 1), micros(3_000_000), micros(3_000_000), micros(3_000_000), micros(3_000_000))
	}
}

func checkShared(p *probe) {
	daily := ratelimit.PerDay(100).WithBurst(3).Named("daily")
	read := policy(ratelimit.PerSecond(10).Named("read"), daily)
	write := policy(daily, ratelimit.PerSecond(1).WithBurst(10).Named("write"))
	p.admit("shared", read, 1)
	p.admit("shared", write, 1)
	p.state("after one call under each policy", "shared", read, micros(100_000), micros(2*864_000_000))
	p.state("after one call under each policy", "shared", write, micros(2*864_000_000), micros(1_000_000))
	p.admit("shared", write, 1)
	p.deny("shared", write, 1)
	p.deny("shared", read, 1)
	p.admit("another key", read, 1)
}

func checkNames(p *probe) {
	limit := ratelimit.PerHour(1)
	for _, name := range []string{
		"default", "a", "A", "b", "aa", "a b", "a|b", "b|a", "a:b", "{a}", "*", "default2", "%00",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
	} {
		named := policy(limit.Named(name))
		p.state("before any call", "names", named, micros(0))
		p.admit("names", named, 1)
		p.deny("names", named, 1)
	}
	p.deny("names", policy(limit), 1) // "" is "default"
}

func checkOrder(p *probe) {
	a, b, c := ratelimit.PerSecond(1).WithBurst(9).Named("a"), ratelimit.PerMinute(1).WithBurst(9).Named("b"), ratelimit.PerHour(1).WithBurst(9).Named("c")
	const second, minute, hour = 1_000_000, 60_000_000, 3_600_000_000
	p.debts("after a call", policy(a, b, c), p.admit("order", policy(a, b, c), 1), micros(second), micros(minute), micros(hour))
	p.debts("after a call", policy(c, a), p.admit("order", policy(c, a), 1), micros(2*hour), micros(2*second))
	p.debts("after a call", policy(b), p.admit("order", policy(b), 1), micros(2*minute))
	p.debts("at last", policy(b, c, a), p.take("order", policy(b, c, a), 0), micros(2*minute), micros(2*hour), micros(2*second))
	for _, few := range [][]store.Limit{policy(a), policy(c, b)} {
		for _, cost := range []int{0, 1, 100} {
			d := p.take("order", few, cost)
			for i := len(few); i < len(d.Debts); i++ {
				if d.Debts[i] != micros(0) {
					p.fail("the answer for %d limits has a debt of %+v in place %d", len(few), d.Debts[i], i)
				}
			}
		}
	}
}

func checkNoLimits(p *probe) {
	five := policy(ratelimit.PerMinute(5))
	p.admit("no limits", five, 2)
	tooMany := append(policy(ratelimit.PerMinute(5), ratelimit.PerMinute(5).Named("b"), ratelimit.PerMinute(5).Named("c"), ratelimit.PerMinute(5).Named("d")),
		policy(ratelimit.PerMinute(5).Named("e"))...)
	for name, limits := range map[string][]store.Limit{"nil": nil, "empty": {}, "of five limits": tooMany} {
		for _, cost := range []int{1, 0, 1000} {
			var err error
			if panicked := store.Try(func() {
				_, err = p.try(p.ctx, store.Request{Key: "no limits", Limits: limits, Cost: cost})
			}); panicked != nil || err == nil {
				p.fail("a call of cost %d under a slice that is %s: Take returned %v, panicked: %v; it must return an error", cost, name, err, panicked != nil)
			}
		}
		var err error
		if panicked := store.Try(func() { err = p.store.Reset(p.ctx, store.Request{Key: "no limits", Limits: limits}) }); panicked != nil || err == nil {
			p.fail("a slice that is %s: Reset returned %v, panicked: %v; it must return an error", name, err, panicked != nil)
		}
	}
	p.state("after such calls", "no limits", five, micros(24_000_000))
}
