package main

import (
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
	used     int     // what the model has billed
	bound    int     // what the limit allows in the time of the load
	fullest  float64 // the most that a bucket of the limit had to hold of what was used
	charged  float64 // what Redis has charged, as far as that can be seen
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
		case c.status == http.StatusOK && (c.complete || c.used > 0):
			a.calls++
			a.estimate += c.estimate
			a.settled += c.used
		case c.status == http.StatusOK:
			a.calls++
			a.estimate += c.estimate
			a.lost += c.estimate
		case c.status == http.StatusTooManyRequests:
			a.denied++
		default:
			a.failed++
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

// firstPaid returns an instant before which nothing of an organisation's calls was charged, and
// soon after which something was: when the model had answered the first call that was paid.
func firstPaid(calls []call, bill []spend, organisation int) (first time.Time) {
	last := map[int]time.Time{}
	for _, s := range bill {
		if c := calls[s.call]; c.organisation == organisation && c.complete && s.at.After(last[s.call]) {
			last[s.call] = s.at
		}
	}
	for _, at := range last {
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}
