package reply_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/reply"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestReply: the headers and the body of an allowed and a denied call, in a plain map.
func TestReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerMinute(1), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		p := reply.New(true, reply.ResetAsDelta)
		allowed, denied := map[string][]string{}, map[string][]string{}
		r, err := limiter.Allow(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		p.Allowed(allowed, &r)
		if r, err = limiter.Allow(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		denial := p.Denied(&r, 90*time.Second)
		denial.SetHeaders(denied)
		for _, c := range []struct{ name, allowed, denied string }{
			{reply.Policy, `"default";q=1;w=60`, `"default";q=1;w=60`},
			{reply.RateLimit, `"default";r=0;t=60`, `"default";r=0;t=90`},
			{reply.Limit, "1m", "1m"},
			{reply.Remaining, "0", "0"},
			{reply.Reset, "60", "60"},
			{reply.RetryAfter, "", "90"},
			{reply.RetryAfterMs, "", "90000"},
		} {
			if !slices.Contains(reply.Names[:], c.name) {
				t.Errorf("%s is not in Names", c.name)
			}
			for got, want := range map[string]string{first(allowed[c.name]): c.allowed, first(denied[c.name]): c.denied} {
				if got != want {
					t.Errorf("%s: %q, want %q", c.name, got, want)
				}
			}
		}
		// A value has no room, so that Add to one header does not overwrite another.
		for name, value := range denied {
			if len(value) != 1 || cap(value) != 1 {
				t.Errorf("%s: %q with room for %d", name, value, cap(value))
			}
		}
		const want = `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,` +
			`"detail":"Rate limit of 1 request per 1m exceeded; retry after 1m30s.","violated-policies":["default"],` +
			`"limits":[{"policy":"default","limit":1,"period":"1m","remaining":0}],"retry_after_ms":90000}` + "\n"
		if got := string(denial.AppendBody(nil)); got != want {
			t.Errorf("body %s\nwant %s", got, want)
		}
		if !reply.Tighter(denied, 0) || reply.Tighter(denied, -1) || reply.Tighter(map[string][]string{}, 0) {
			t.Error("Tighter")
		}
	})
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
