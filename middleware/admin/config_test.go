package admin_test

import (
	"context"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestNewRejects(t *testing.T) {
	h, err := admin.New(nil, nil, admin.Config{Table: new(plans.Table), TrustedOrigins: []string{"https://ok.example", "ops.example/"}})
	if h != nil || err == nil {
		t.Fatalf("%v, %v", h, err)
	}
	for _, want := range []string{"limiter is nil", "authorize is nil, so that any caller could lift every limit", "subtle.ConstantTimeCompare", "Config.Table is the zero Table", `Config.TrustedOrigins[1] "ops.example/" must be an origin, such as "https://ops.example.com"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 4 {
		t.Errorf("%d faults: %v", n, err)
	}
}

// TestTableOfAnotherLimiter: a table that is not in force could be replaced for ever, and
// nothing would change.
func TestTableOfAnotherLimiter(t *testing.T) {
	table, other := newTable(t, tableText), newTable(t, tableText)
	cached, err := plans.NewCache(table, plans.CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := ratelimit.NewPolicy(ratelimit.PerSecond(5))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		limits ratelimit.Limits
		ok     bool
	}{
		"the table": {table, true}, "asks the table": {cached, true},
		"may ask it":    {ratelimit.LimitsFunc(func(ctx context.Context, key string) (*ratelimit.Policy, error) { return table.PolicyFor(ctx, key) }), true},
		"another table": {other, false}, "a limit": {ratelimit.PerSecond(5), false}, "a policy": {policy, false}, "no limits": {ratelimit.Unlimited, false},
	} {
		limiter := newLimiter(t, memstore.New(memstore.Config{}), test.limits, ratelimit.Config{})
		part, err := limiter.With(ratelimit.PerDay(2).Named("export"))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []*ratelimit.Limiter{limiter, part} {
			_, err := admin.New(l, operator, admin.Config{Table: table})
			if (err == nil) != test.ok || err != nil && !strings.Contains(err.Error(), "admin: Config.Table is not the table of limiter") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// All faults are reported at once.
	_, err = admin.New(newLimiter(t, memstore.New(memstore.Config{}), other, ratelimit.Config{}), nil, admin.Config{Table: table, TrustedOrigins: []string{"x"}})
	if err == nil || strings.Count(err.Error(), "admin: ") != 3 {
		t.Errorf("%v", err)
	}
	if _, err = admin.New(nil, operator, admin.Config{Table: table}); err == nil {
		t.Errorf("%v", err)
	}
}
