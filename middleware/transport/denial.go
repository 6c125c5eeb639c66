package transport

import (
	"net/http"
	"strings"
	"time"
)

// firstBackOff is the wait after a denial that does not tell one. It doubles with
// each attempt of the same request.
const firstBackOff = time.Second

// A denial is what a response says of the request that it answers.
type denial struct {
	denied  bool
	limited bool          // because of a limit, so that the request was surely not served
	last    bool          // the server wants no other attempt
	wait    time.Duration // as told, 0 if it was not
}

const (
	statusShopifySecurity     = 430 // Shopify: too many requests that look suspicious
	statusAnthropicOverloaded = 529
)

// denialOf reads a response: by its status, and by Config.Denied.
func (c Config) denialOf(response *http.Response, l Limits) denial {
	d := denial{
		last: strings.EqualFold(response.Header.Get("X-Should-Retry"), "false"),
		wait: l.RetryAfter,
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		d.denied, d.limited = true, true
	case http.StatusForbidden:
		// GitHub; others' 403 have to do with other things, whatever limits they tell.
		d.denied = l.RetryAfter > 0 || response.Header.Get("X-RateLimit-Remaining") == "0"
		d.limited = d.denied
	case http.StatusTeapot, statusShopifySecurity: // Binance has banned the address
		d.denied = l.RetryAfter > 0
		d.limited = d.denied
	case http.StatusServiceUnavailable, statusAnthropicOverloaded:
		d.denied = l.RetryAfter > 0
	}
	if wait, denied := c.asksDenied(response); denied {
		d.denied, d.limited = true, true
		if wait > 0 {
			d.wait = min(wait, maxTold)
		}
	}
	return d
}

// asksDenied is what Config.Denied says, nothing if it is nil or panics.
func (c Config) asksDenied(response *http.Response) (wait time.Duration, denied bool) {
	if c.Denied == nil {
		return 0, false
	}
	defer func() {
		if recover() != nil {
			wait, denied = 0, false
		}
	}()
	return c.Denied(response)
}

// waitAfter returns how long the request waits after a denial.
func (p *pace) waitAfter(d denial, limits Limits, attempt int) time.Duration {
	if d.wait > 0 {
		return d.wait
	}
	var usedUp, end, reset time.Duration
	for _, t := range limits.All {
		switch {
		case t.Remaining == 0:
			usedUp = max(usedUp, p.waitFor(t, attempt))
		case t.Remaining == Unknown && t.Quota == 0:
			end = max(end, t.Reset)
		case t.Remaining > 0 && t.Reset <= p.maxWait:
			reset = max(reset, t.Reset)
		}
	}
	switch {
	case usedUp > 0:
		return usedUp
	case end > 0:
		return end
	case attempt > 1 && reset > 0:
		// A limit that is not reported is used up; most likely it ends with a window that is.
		return reset
	}
	return firstBackOff << min(attempt-1, 20)
}

// waitFor returns how long it takes until something is left of a limit that is used
// up: until its reset, or the first share of that if it is a bucket.
func (p *pace) waitFor(t Limit, attempt int) time.Duration {
	l := find(p.lanes, t.Name)
	if !t.Refills {
		if t.Reset == 0 && t.Unit == "" && l != nil {
			return time.Until(l.resets)
		}
		return t.Reset
	}
	if t.Unit == "" && l != nil {
		if !l.evidence.refills(true) {
			return t.Reset
		}
	} else if attempt > 1 {
		return t.Reset
	}
	return t.again()
}
