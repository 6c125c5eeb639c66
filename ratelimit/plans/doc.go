// Package plans gives API keys limits of their own: in a [Table], or from a slower source such
// as a database behind a [Cache]. Both are [ratelimit.Limits], to be passed to [ratelimit.New].
//
//	table, err := plans.NewTable(plans.TableConfig{
//		Default: free,
//		Plans:   map[string]*ratelimit.Policy{"gold": gold},
//		Members: map[string]string{"customer-17": "gold"},
//	})
//	limiter, err := ratelimit.New(store, table, ratelimit.Config{})
//
// Keys of one [Organisation] share limits.
//
// A table is replaced as a whole while it is in use, with [Table.Replace] or, by several
// operators without overwriting each other, with [Snapshot.Replace]. [ReadTableConfig] reads one
// from JSON; package plans/file reads one from a YAML or JSON file and watches that.
//
// No error shows a key: the first digits of its SHA-256 hash stand for it.
package plans
