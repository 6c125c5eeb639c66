package signals_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// TestTwoSetsOfOneName checks that of two sets with one name, as from an API behind a
// proxy with limits of its own, the one that denies counts, with its own quota.
func TestTwoSetsOfOneName(t *testing.T) {
	denied := one(signals.Limit{Name: "default", Quota: 2, Window: time.Second, Remaining: 0, Reset: time.Second})
	checkSent(t, []sent{
		{[]string{`RateLimit-Policy: "default";q=5;w=1`, `RateLimit-Policy: "default";q=2;w=1`, `RateLimit: "default";r=4;t=1`, `RateLimit: "default";r=0;t=1`}, denied},
		{[]string{`RateLimit-Policy: "default";q=2;w=1`, `RateLimit-Policy: "default";q=5;w=1`, `RateLimit: "default";r=0;t=1`, `RateLimit: "default";r=4;t=1`}, denied},
		{[]string{`RateLimit-Policy: "default";q=5;w=1, "default";q=2;w=1`, `RateLimit: "default";r=4;t=1, "default";r=0;t=1`}, denied},
		{[]string{`RateLimit-Policy: "default";q=5;w=1`, `RateLimit-Policy: "default";q=9;w=1`, `RateLimit-Policy: "default";q=2;w=1`, `RateLimit: "default";r=3;t=1, "default";r=9;t=1, "default";r=0;t=1`}, denied},
		{[]string{`RateLimit-Policy: "default";q=2;w=1`, `RateLimit: "default";r=1;t=1`, `RateLimit: "default";r=0;t=1`}, denied},
		// Both deny: the one that does so for longer.
		{[]string{`RateLimit-Policy: "a";q=2;w=1, "a";q=2;w=1`, `RateLimit: "a";r=0;t=1, "a";r=0;t=9`}, one(signals.Limit{Name: "a", Quota: 2, Window: time.Second, Reset: 9 * time.Second})},
		{[]string{`RateLimit-Policy: "a";q=2;w=1, "a";q=2;w=1`, `RateLimit: "a";r=0;t=9, "a";r=0;t=1`}, one(signals.Limit{Name: "a", Quota: 2, Window: time.Second, Reset: 9 * time.Second})},
		// Neither denies: the one with less left counts, and then the slower one.
		{[]string{`RateLimit-Policy: "a";q=5;w=1`, `RateLimit-Policy: "a";q=2;w=1`, `RateLimit: "a";r=4;t=1`, `RateLimit: "a";r=1;t=1`}, one(signals.Limit{Name: "a", Quota: 2, Window: time.Second, Remaining: 1, Reset: time.Second})},
		{[]string{`RateLimit-Policy: "a";q=5;w=1`, `RateLimit-Policy: "a";q=2;w=1`, `RateLimit: "a";r=1;t=1`, `RateLimit: "a";r=1;t=1`}, one(signals.Limit{Name: "a", Quota: 2, Window: time.Second, Remaining: 1, Reset: time.Second})},
	})
}

// TestLimitsThatDoNotExist checks that a policy with another name belongs to the state
// beside it, unless the numbers contradict.
func TestLimitsThatDoNotExist(t *testing.T) {
	api := one(signals.Limit{Name: "api", Quota: 500, Window: 5 * time.Minute, Remaining: 489, Reset: 189 * time.Second})
	checkSent(t, []sent{
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: "fixed window";"api";q=500;w=300`}, api},
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: "fixed window";q=500;w=300`}, api},
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: "a";q=1000;w=600, "fixed window";"api";q=500;w=300`}, append(api[:1:1], signals.Limit{Name: "a", Quota: 1000, Window: 10 * time.Minute, Remaining: signals.Unknown})},
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: 500;w=300`}, api},
		{[]string{`ratelimit: "api";r=489;t=189`, `ratelimit-policy: "a";"other";q=9;w=1, "b";"api";q=500;w=300`}, append(api[:1:1], signals.Limit{Name: "a", Quota: 9, Window: time.Second, Remaining: signals.Unknown})},
		{[]string{`Ratelimit: "default";r=50;t=30`, `Ratelimit-Policy: "burst";q=100;w=60`}, one(signals.Limit{Name: "default", Quota: 100, Window: time.Minute, Remaining: 50, Reset: 30 * time.Second})},
		{[]string{`RateLimit: "default";r=50;t=30`, `RateLimit-Policy: "burst";q=100;w=60, "daily";q=1000;w=86400`}, []signals.Limit{
			{Name: "default", Quota: 100, Window: time.Minute, Remaining: 50, Reset: 30 * time.Second}, {Name: "daily", Quota: 1000, Window: 24 * time.Hour, Remaining: signals.Unknown},
		}},
		{[]string{`RateLimit: "default";r=500;t=30`, `RateLimit-Policy: "burst";q=100;w=60, "daily";q=1000;w=86400`}, []signals.Limit{
			{Name: "default", Quota: 1000, Window: 24 * time.Hour, Remaining: 500, Reset: 30 * time.Second}, {Name: "burst", Quota: 100, Window: time.Minute, Remaining: signals.Unknown},
		}},
		// More remains than the policy has, or its reset is later: two limits.
		{[]string{`RateLimit: "daily";r=500;t=30`, `RateLimit-Policy: "burst";q=100;w=60`}, []signals.Limit{
			{Name: "daily", Remaining: 500, Reset: 30 * time.Second}, {Name: "burst", Quota: 100, Window: time.Minute, Remaining: signals.Unknown},
		}},
		{[]string{`RateLimit: "daily";r=50;t=3600`, `RateLimit-Policy: "burst";q=100;w=60`}, []signals.Limit{
			{Name: "daily", Remaining: 50, Reset: time.Hour}, {Name: "burst", Quota: 100, Window: time.Minute, Remaining: signals.Unknown},
		}},
		// The same numbers, for other times or units.
		{[]string{"RateLimit-Limit: 5, 5;w=1", "RateLimit-Remaining: 4", "X-RateLimit-Limit-Minute: 5", "X-RateLimit-Remaining-Minute: 4"}, []signals.Limit{
			{Quota: 5, Window: time.Second, Remaining: 4}, {Name: "minute", Quota: 5, Window: time.Minute, Remaining: 4},
		}},
		{[]string{`RateLimit-Policy: "a";q=5;w=1, "a";q=5;w=1;qu="content-bytes"`}, []signals.Limit{
			{Name: "a", Quota: 5, Window: time.Second, Remaining: signals.Unknown}, {Name: "a", Unit: "content-bytes", Quota: 5, Window: time.Second, Remaining: signals.Unknown},
		}},
		// The same limit in three forms.
		{[]string{`RateLimit: "default";r=4;t=1`, `RateLimit-Policy: "default";q=5;w=1`, "RateLimit-Limit: 5", "RateLimit-Remaining: 4", "X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 4"}, one(signals.Limit{Name: "default", Quota: 5, Window: time.Second, Remaining: 4, Reset: time.Second})},
	})
}
