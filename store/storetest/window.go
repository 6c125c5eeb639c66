package storetest

import (
	"math/big"
	"math/rand/v2"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

var windowClauses = []clause{
	{name: "EveryWindow", promise: "in a window of any length T at most Burst + Rate*T is admitted", check: checkWindow},
}

// checkWindow calls at random times, often near the start of a fixed window, and checks
// all windows between two admitted calls.
func checkWindow(p *probe) {
	seed, err := Seed()
	if err != nil {
		p.fail("%v", err)
	}
	p.t.Logf("KEYRATE_SEED=%#x", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	type call struct {
		at   int64
		cost int64
	}
	for _, l := range []ratelimit.Limit{
		ratelimit.PerSecond(10), ratelimit.PerSecond(3).WithBurst(20), {Rate: 1, Period: 1900 * time.Millisecond}, ratelimit.PerMinute(100),
	} {
		one, key := policy(l), "window "+l.String()
		burst := int64(one[0].Burst())
		var calls []call
		var total int64
		for range 400 {
			switch random.IntN(8) {
			case 0, 1, 2:
			case 3:
				p.advance(l.Period - time.Duration(random.IntN(100))*time.Millisecond)
			case 4:
				p.advance(time.Duration(random.IntN(1000)) * time.Microsecond)
			default:
				p.advance(time.Duration(random.IntN(2_000_000/l.Rate)) * time.Microsecond)
			}
			cost := 1 + random.IntN(2)
			if d := p.take(key, one, min(cost, int(burst))); d.Allowed {
				calls = append(calls, call{d.Now, int64(min(cost, int(burst)))})
				total += int64(cost)
			}
		}
		if total <= burst {
			p.fail("under %v, only %d tokens were admitted in 400 calls over many periods", l, total)
		}
		for i := range calls {
			sum := int64(0)
			for _, c := range calls[i:] {
				sum += c.cost
				// (sum - burst) * period <= rate * (c.at - calls[i].at)
				over := new(big.Int).Mul(big.NewInt(sum-burst), big.NewInt(int64(l.Period/time.Microsecond)))
				room := new(big.Int).Mul(big.NewInt(int64(l.Rate)), big.NewInt(c.at-calls[i].at))
				if over.Cmp(room) > 0 {
					p.fail("under %v, %d tokens were admitted within %d µs (KEYRATE_SEED=%#x)", l, sum, c.at-calls[i].at, seed)
				}
			}
		}
	}
}
