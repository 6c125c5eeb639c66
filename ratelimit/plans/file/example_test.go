package file_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/ratelimit/plans/file"
	"github.com/keyrate/keyrate/store/memstore"
)

// All faults of a file are reported at once. A key is named by its line and its hash.
func ExampleParse() {
	_, err := file.Parse("limits.yaml", []byte(`
default: 5
plans:
  gold: 50/s
members:
  customer-17: silver
`))
	fmt.Println(err)
	var fault *file.Error
	fmt.Println(errors.As(err, &fault), fault.Line)
	// Output:
	// limits.yaml:2:10: default: found 5; must be a limit with its period, such as "5/s" or "100/1m"
	// limits.yaml:6:16: members[sha256:db2f1aab1da8…]: found a plan that is not under plans; must be one of gold
	// true 2
}

// A limiter with the limits of a file, which is read again on demand.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "limits.yaml")
	write := func(text string) { _ = os.WriteFile(path, []byte(text), 0o600) }

	write("default: 5/d\nplans: {gold: 50/d}\nmembers: {customer-17: gold}\n")
	limits, err := file.Open(path, file.Config{OnReload: func(e file.Event) {
		if e.Err != nil {
			fmt.Println("the old limits stay in force")
			return
		}
		fmt.Println(e.InForce.Keys, "keys in", e.InForce.Plans, "plan, version", e.InForce.Hash)
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits.Table(), ratelimit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func() {
		result, _ := limiter.Peek(context.Background(), "customer-17")
		fmt.Println(result.Limit())
	}
	show()
	write("default: 5/d\nplans: {gold: 70/d}\nmembers: {customer-17: gold}\n")
	_ = limits.Reload() // the event has its error
	show()
	write("default: 5 per day\n")
	_ = limits.Reload()
	show()
	// Output:
	// 50/d
	// 1 keys in 1 plan, version 776d393f2d69
	// 70/d
	// the old limits stay in force
	// 70/d
}

// The keys of an organisation share the limits that have the option shared.
func ExampleParse_organisations() {
	config, err := file.Parse("limits.yaml", []byte(`
default: 5/h
plans:
  team: 3/h, 5/h;name=org;shared
organisations:
  acme:
    plan: team
    members: [customer-21, customer-22]
    keys:
      customer-23: 1/h, 5/h;name=org;shared
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	table, err := plans.NewTable(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), table, ratelimit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, key := range []string{"customer-21", "customer-21", "customer-21", "customer-23", "customer-22", "customer-22"} {
		r, err := limiter.Allow(context.Background(), key)
		fmt.Println(key, r.Allowed, r.Limit(), err)
	}
	// Output:
	// customer-21 true 3/h <nil>
	// customer-21 true 3/h <nil>
	// customer-21 true 3/h <nil>
	// customer-23 true 1/h <nil>
	// customer-22 true 5/h;name=org;shared <nil>
	// customer-22 false 5/h;name=org;shared <nil>
}

// Watch runs until its context ends: give it a goroutine.
func ExampleFile_Watch() {
	limits, err := file.Open("testdata/limits.yaml", file.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	watched := make(chan error)
	go func() { watched <- limits.Watch(ctx) }()

	// Serve the API here.

	cancel()
	fmt.Println(<-watched)
	// Output:
	// context canceled
}
