package signals

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// This file reads forms that are neither one value in one header nor those of the IETF.

// readRatio reads how many calls are in a leaky bucket, and how many it holds: "32/40". If
// nothing says how fast it leaks, that is 2 a second for a bucket of 40, and faster for a
// larger one, which is empty in 20 seconds, too.
//
//	https://shopify.dev/docs/api/admin-rest/usage/rate-limits
func (f *family) readRatio(h http.Header) []Limit {
	var found []Limit
	for _, m := range f.members(h, ratio) {
		used, quota, _ := strings.Cut(m.value, "/")
		n, ok := parseCount(used)
		most, ok2 := parseCount(quota)
		if !ok || !ok2 || most == 0 {
			continue
		}
		l := f.blank()
		l.Quota, l.Remaining = most, max(most-n, 0)
		if f.readRate(h, &l); l.Window == 0 {
			l.Window = min(time.Duration(most)*time.Second/2, 20*time.Second)
		}
		found = add(found, l)
	}
	return found
}

// readPairs reads several quotas with their windows in seconds, "20:1,100:120", and what
// was used of each, "1:1,2:120". A third number there is how much longer a denial lasts.
// Each is named after the family and its window.
//
//	https://developer.riotgames.com/docs/portal#web-apis_rate-limiting
//	https://www.pathofexile.com/developer/docs/index#ratelimits
func (f *family) readPairs(h http.Header, c clock) []Limit {
	spent := f.members(h, pairsUsed)
	var found []Limit
	for _, m := range f.members(h, pairs) {
		most, seconds, _ := cutPair(m.value)
		l := f.blank()
		l.Quota, _ = parseCount(most)
		l.Window, _ = parseDecimal(seconds, time.Second)
		if l.Quota == 0 || l.Window == 0 {
			continue
		}
		l.Name = strings.TrimSpace(f.name + " " + l.Window.String())
		for _, s := range spent {
			count, in, denied := cutPair(s.value)
			if n, ok := parseCount(count); ok && in == seconds {
				l.Remaining = max(l.Quota-n, 0)
				if d, ok := c.read(denied, time.Second); ok && d > 0 {
					l.Remaining, l.Reset = 0, d
				}
			}
		}
		found = add(found, l)
	}
	return found
}

func cutPair(s string) (count, seconds, rest string) {
	count, seconds, _ = strings.Cut(s, ":")
	seconds, rest, _ = strings.Cut(seconds, ":")
	return count, seconds, rest
}

// readJSON reads a limit that is an object, in a header that is a count elsewhere.
//
//	https://github.com/basecamp/bc3-api#rate-limiting
func (f *family) readJSON(h http.Header, c clock) (Limit, bool) {
	for _, name := range f.names[quota] {
		if len(h[name]) == 0 {
			continue
		}
		text := strings.TrimSpace(h[name][0])
		var o struct {
			Name                     string
			Period, Limit, Remaining json.Number
			Until                    string
			Seconds                  json.Number `json:"until_seconds"`
		}
		if !strings.HasPrefix(text, "{") || len(text) > maxField || json.Unmarshal([]byte(text), &o) != nil {
			continue
		}
		l := f.blank()
		if len(o.Name) <= maxText {
			l.Name = o.Name
		}
		l.Quota, _ = parseCount(o.Limit.String())
		l.Window, _ = parsePeriod(o.Period.String(), time.Second)
		if n, ok := parseCount(o.Remaining.String()); ok {
			l.Remaining = n
		}
		var ok bool
		if l.Reset, ok = c.read(o.Seconds.String(), time.Second); !ok {
			l.Reset, _ = c.read(o.Until, time.Second)
		}
		return l, l.Quota > 0
	}
	return Limit{}, false
}
