package signals

import (
	"net/http"
	"strings"
	"time"
)

// A Denial is what a response says of its request.
type Denial struct {
	Denied  bool
	Limited bool          // because of a limit, so that the request was not served
	Final   bool          // the server wants no other attempt
	Wait    time.Duration // as reported, 0 if it is not
}

const (
	statusShopifySecurity     = 430 // too many suspicious requests
	statusAnthropicOverloaded = 529
)

// DenialOf reads the status of a response that reports l.
func DenialOf(response *http.Response, l Limits) Denial {
	d := Denial{
		Final: strings.EqualFold(response.Header.Get("X-Should-Retry"), "false"),
		Wait:  l.RetryAfter,
	}
	switch response.StatusCode {
	case http.StatusTooManyRequests:
		d.Limited = true
	case http.StatusForbidden: // GitHub; a 403 of others has other reasons, whatever limits it reports
		d.Limited = d.Wait > 0 || response.Header.Get("X-RateLimit-Remaining") == "0"
	case http.StatusTeapot, statusShopifySecurity: // 418: Binance banned the address
		d.Limited = d.Wait > 0
	case http.StatusServiceUnavailable, statusAnthropicOverloaded:
		d.Denied = d.Wait > 0
	}
	d.Denied = d.Denied || d.Limited
	return d
}
