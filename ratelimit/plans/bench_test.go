package plans_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// BenchmarkTable reads and writes 100,000 keys: members of one plan, or of 10,000
// organisations with that plan.
func BenchmarkTable(b *testing.B) {
	for _, name := range []string{"members", "organisations"} {
		c := plans.TableConfig{
			Default: policyOf(b, ratelimit.PerSecond(5)), Members: map[string]string{}, Organisations: map[string]plans.Organisation{},
			Plans: map[string]*ratelimit.Policy{"gold": policyOf(b, ratelimit.PerSecond(100))},
		}
		for i := range 10_000 {
			var o plans.Organisation
			for k := range 10 {
				key := fmt.Sprintf("customer-%07d-%d", i, k)
				if o.Members = append(o.Members, key); name == "members" {
					c.Members[key] = "gold"
				}
			}
			if o.Plan = "gold"; name == "organisations" {
				c.Organisations[fmt.Sprintf("organisation-%d", i)] = o
			}
		}
		text, err := c.MarshalJSON()
		if err != nil {
			b.Fatal(err)
		}
		table, err := plans.NewTable(c)
		if err != nil {
			b.Fatal(err)
		}
		for of, f := range map[string]func() error{
			"read":     func() error { _, err := plans.ReadTableConfig(bytes.NewReader(text)); return err },
			"in force": func() error { _, err := plans.NewTable(c); return err },
			"written":  func() error { _, err := table.Snapshot().WriteTo(io.Discard); return err },
			"required": func() error { return table.Require(func(*ratelimit.Policy) error { return nil }) },
			"looked up": func() error {
				_, err := table.PolicyFor(b.Context(), "customer-0005000-5")
				return err
			},
		} {
			b.Run(name+"/"+of, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
