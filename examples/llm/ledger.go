package main

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// tokens is the name of the limit on tokens.
const tokens = "tokens"

// An account is what became of an organisation's calls, in tokens.
type account struct {
	name     string
	limit    ratelimit.Limit
	calls    int // that were admitted
	denied   int
	failed   int     // neither: the gateway was not there, or could not decide
	estimate int     // of the calls that were admitted
	settled  int     // what those of them have paid that ended
	lost     int     // the estimates of those that ended with their gateway
	open     []int   // what was charged or not, of each call whose caller cannot know
	used     int     // what the model has billed
	bound    int     // what the limit allows in the time of the load
	fullest  float64 // the most that a bucket of the limit had to hold of what was used
	least    float64 // what Redis has charged at least, since no clock shows the instant of a charge
	most     float64 // and at most
}

// over returns by how many tokens the limit was overrun at its worst instant.
func (a *account) over() int { return int(math.Ceil(a.fullest)) - a.limit.Burst }

// accounts compares the calls of a load, and the model's bill, with the limits.
func accounts(calls []call, bill []spend, start, end time.Time) ([]account, error) {
	keys, err := policies()
	if err != nil {
		return nil, err
	}
	all := make([]account, len(organisations))
	for i, o := range organisations {
		limits := keys[o.key(0)].Limits()
		at := slices.IndexFunc(limits, func(l ratelimit.Limit) bool { return l.Name == tokens })
		all[i] = account{name: o.name, limit: limits[at]}
		all[i].bound = limits[at].Burst + int(perSecond(limits[at])*end.Sub(start).Seconds())
	}
	for _, c := range calls {
		a := &all[c.organisation]
		switch {
		case c.status == http.StatusOK && c.complete:
			a.calls++
			a.estimate += c.estimate
			a.settled += c.price()
		case c.status == http.StatusOK && c.used > 0: // its gateway was killed before or after it settled
			a.calls++
			a.estimate += c.estimate
			a.settled += c.used
			a.open = append(a.open, c.estimate-c.used)
		case c.status == http.StatusOK:
			a.calls++
			a.estimate += c.estimate
			a.lost += c.estimate
		case c.status == http.StatusTooManyRequests:
			a.denied++
		default: // it may have been admitted, and the response lost
			a.failed++
			a.open = append(a.open, c.estimate)
		}
	}
	spends := make([][]spend, len(organisations))
	for _, s := range bill {
		i := calls[s.call].organisation
		all[i].used += s.tokens
		spends[i] = append(spends[i], s)
	}
	for i := range all {
		all[i].fullest = fullest(spends[i], all[i].limit)
	}
	return all, nil
}

// price returns what a complete call has paid.
func (c *call) price() int {
	if c.used == 0 { // it reported no usage
		return c.estimate
	}
	return c.used
}

// slack is how many tokens come back while the clocks of this program and of Redis drift apart,
// and in rounding.
const slack = 10

// paid returns which sum of what is open explains the tokens that Redis has charged. It returns
// false if none does.
func (a *account) paid() (open int, explained bool) {
	sums := map[int]bool{0: true}
	for _, n := range a.open {
		for sum := range maps.Clone(sums) {
			sums[sum+n] = true
		}
	}
	for _, sum := range slices.Sorted(maps.Keys(sums)) {
		if all := float64(a.settled + a.lost + sum); all >= a.least-slack && all <= a.most+slack {
			return sum, true
		}
	}
	return 0, false
}

// perSecond returns how many tokens come back in a second.
func perSecond(l ratelimit.Limit) float64 { return float64(l.Rate) / l.Period.Seconds() }

// fullest pours what was used into a bucket that drains at the rate of the limit, and returns
// the most that was in it. If that is at most the burst, no more was used in any time than the
// limit allows in it.
func fullest(spends []spend, l ratelimit.Limit) (most float64) {
	spends = slices.Clone(spends)
	slices.SortFunc(spends, func(a, b spend) int { return a.at.Compare(b.at) })
	var level float64
	for i, s := range spends {
		if i > 0 {
			level = max(0, level-perSecond(l)*s.at.Sub(spends[i-1].at).Seconds())
		}
		level += float64(s.tokens)
		most = max(most, level)
	}
	return most
}

// charged returns how many tokens were charged in all, at least and at most, of a bucket that
// will be full at an instant. Since the last charge that found the bucket full, it was never
// full. So all has been charged that was before, and what comes back from then until it is full:
// the minimum over all charges. The instant of one is between the end of the model's answer and
// that of the gateway's. What the killed gateway held was charged after the kill, by when the
// bucket is not full again.
func charged(calls []call, bill []spend, organisation int, l ratelimit.Limit, killed, full time.Time) (least, most float64) {
	answered := map[int]time.Time{}
	for _, s := range bill {
		if s.at.After(answered[s.call]) {
			answered[s.call] = s.at
		}
	}
	var settled []int // calls
	for i, c := range calls {
		if c.organisation == organisation && c.complete && c.status == http.StatusOK && c.ended.Before(killed) {
			settled = append(settled, i)
		}
	}
	slices.SortFunc(settled, func(a, b int) int { return calls[a].ended.Compare(calls[b].ended) })
	least, most = math.Inf(1), math.Inf(1)
	before := 0.0
	for _, i := range settled {
		least = min(least, before+perSecond(l)*full.Sub(calls[i].ended).Seconds())
		most = min(most, before+perSecond(l)*full.Sub(answered[i]).Seconds())
		before += float64(calls[i].price())
	}
	return least, most
}
