package signals

import (
	"net/http"
	"strings"
	"time"
)

// A Denial is what a response says of the request that it answers.
type Denial struct {
	Denied  bool
	Limited bool          // because of a limit, so that the request was surely not served
	Final   bool          // the server wants no other attempt
	Wait    time.Duration // as told, 0 if it was not
}

const (
	statusShopifySecurity     = 430 // Shopify: too many requests that look suspicious
	statusAnthropicOverloaded = 529
)

// DenialOf reads a response and the limits in it.
func DenialOf(response *http.Response, l Limits) Denial {
	d := Denial{
		Final: strings.EqualFold(response.Header.Get("X-Should-Retry"), "false"),
		Wait:  l.RetryAfter,
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		d.Denied, d.Limited = true, true
	case http.StatusForbidden:
		// GitHub; others' 403 have to do with other things, whatever limits they tell.
		d.Denied = l.RetryAfter > 0 || response.Header.Get("X-RateLimit-Remaining") == "0"
		d.Limited = d.Denied
	case http.StatusTeapot, statusShopifySecurity: // Binance has banned the address
		d.Denied = l.RetryAfter > 0
		d.Limited = d.Denied
	case http.StatusServiceUnavailable, statusAnthropicOverloaded:
		d.Denied = l.RetryAfter > 0
	}
	return d
}
