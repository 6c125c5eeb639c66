package plans_test

import (
	"context"
	"fmt"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
)

// Each key of the organisation has 3 calls an hour, and all of them together have 5.
func ExampleOrganisation() {
	free, err := ratelimit.NewPolicy(ratelimit.PerHour(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	team, err := ratelimit.NewPolicy(ratelimit.PerHour(3), ratelimit.PerHour(5).Named("org").SharedByHome())
	if err != nil {
		fmt.Println(err)
		return
	}
	table, err := plans.NewTable(plans.TableConfig{
		Default: free,
		Plans:   map[string]*ratelimit.Policy{"team": team},
		Organisations: map[string]plans.Organisation{
			"acme": {Plan: "team", Members: []string{"customer-21", "customer-22"}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), table, ratelimit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range []string{"customer-21", "customer-21", "customer-21", "customer-21", "customer-22", "customer-22", "customer-22"} {
		r, err := limiter.Allow(context.Background(), key)
		fmt.Println(key, r.Allowed, r.Limit().Name, r.Remaining(), err)
	}
	// Output:
	// customer-21 true default 2 <nil>
	// customer-21 true default 1 <nil>
	// customer-21 true default 0 <nil>
	// customer-21 false default 0 <nil>
	// customer-22 true org 1 <nil>
	// customer-22 true org 0 <nil>
	// customer-22 false org 0 <nil>
}
