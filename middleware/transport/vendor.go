package transport

import (
	"net/http"
	"strings"
	"time"
)

// readX reads X-RateLimit-* (GitHub, OpenAI and many others) and X-Rate-Limit-*.
//
//	https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
//	https://platform.openai.com/docs/guides/rate-limits
func readX(h http.Header, c clock) []Limit {
	for _, prefix := range []string{"X-RateLimit-", "X-Rate-Limit-"} {
		if l, ok := readTriple(h, c, prefix, ""); ok {
			if resource := h.Get(prefix + "Resource"); len(resource) <= maxText {
				l.Name = resource
			}
			return []Limit{l}
		}
		var limits []Limit
		for _, what := range []string{"requests", "tokens"} {
			if l, ok := readTriple(h, c, prefix, "-"+what); ok {
				limits = append(limits, l.refilling(what))
			}
		}
		if len(limits) > 0 {
			return limits
		}
	}
	return nil
}

// readAnthropic reads anthropic-ratelimit-requests-limit and its like.
//
//	https://docs.anthropic.com/en/api/rate-limits
func readAnthropic(h http.Header, c clock) []Limit {
	var limits []Limit
	for _, what := range []string{"requests", "tokens", "input-tokens", "output-tokens"} {
		l := Limit{Remaining: Unknown}
		prefix := "Anthropic-Ratelimit-" + what + "-"
		l.Quota, _ = parseCount(h.Get(prefix + "Limit"))
		if n, ok := parseCount(h.Get(prefix + "Remaining")); ok {
			l.Remaining = n
		}
		l.Reset = c.parseReset(h.Get(prefix + "Reset"))
		if l.Quota > 0 || l.Remaining != Unknown {
			limits = append(limits, l.refilling(what))
		}
	}
	return limits
}

// refilling returns l as one of those who tell when their buckets are full.
func (l Limit) refilling(what string) Limit {
	l.Name, l.Refills = what, true
	if what != "requests" {
		l.Unit = what
	}
	return l
}

// readShopify reads how many calls are in a bucket that leaks, and how many it
// holds. How fast it leaks is not told. It is 2 a second for a bucket of 40, and more
// for larger ones, which are empty in 20 seconds like that one.
//
//	https://shopify.dev/docs/api/admin-rest/usage/rate-limits
func readShopify(h http.Header, _ clock) []Limit {
	used, quota, _ := strings.Cut(h.Get("X-Shopify-Shop-Api-Call-Limit"), "/")
	n, ok := parseCount(used)
	m, ok2 := parseCount(quota)
	if !ok || !ok2 || m == 0 {
		return nil
	}
	return []Limit{{
		Quota:     m,
		Remaining: max(m-n, 0),
		Window:    min(time.Duration(m)*time.Second/2, 20*time.Second),
	}}
}
