package ratelimit

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
)

// A Table holds policies by key, and one for all other keys. It is replaced as a
// whole while it is in use: a decision sees the old table or the new one.
//
// Make one with [NewTable]; the zero Table answers every key with an error. Its
// methods are safe for concurrent use, and a look-up allocates nothing.
type Table struct {
	current atomic.Pointer[TableConfig]
}

// TableConfig is the content of a [Table].
type TableConfig struct {
	// Default holds every key that is not in Keys. Required.
	Default *Policy
	// Keys holds the policies of single keys. Keys may share a Policy: that is a
	// plan.
	Keys map[string]*Policy
}

// NewTable makes a table. The error joins all faults of c.
func NewTable(c TableConfig) (*Table, error) {
	t := new(Table)
	if err := t.Replace(c); err != nil {
		return nil, err
	}
	return t, nil
}

// Replace puts c in force for all decisions that begin from now on. On an error,
// which joins all faults of c, the old content stays in force. The table keeps a
// copy of c.Keys.
func (t *Table) Replace(c TableConfig) error {
	var faults []error
	if err := checkPolicy(c.Default); err != nil {
		err.Field = "TableConfig.Default"
		faults = append(faults, err)
	}
	broken := 0
	var example *LimitError
	for _, p := range c.Keys {
		if err := checkPolicy(p); err != nil {
			broken++
			example = err
		}
	}
	if broken > 0 { // the keys themselves are secrets and are not named
		faults = append(faults, &LimitError{Field: "TableConfig.Keys", Value: broken, Want: "of its policies cannot be used", Err: example})
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	c.Keys = maps.Clone(c.Keys)
	t.current.Store(&c)
	return nil
}

var errZeroTable = &LimitError{Field: "Table", Value: "zero value", Want: "must be made with ratelimit.NewTable"}

// SelfTimed tells the limiter that a table never waits.
func (t *Table) SelfTimed() {}

// PolicyFor returns the key's own policy, or the default.
func (t *Table) PolicyFor(_ context.Context, key string) (*Policy, error) {
	c := t.current.Load()
	if c == nil {
		return nil, errZeroTable
	}
	if p, ok := c.Keys[key]; ok {
		return p, nil
	}
	return c.Default, nil
}

// checkPolicy refuses what no decision can be made with.
func checkPolicy(p *Policy) *LimitError {
	if p == nil {
		return &LimitError{Field: "Policy", Value: "nil", Want: "must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited"}
	}
	if len(p.buckets) == 0 && p != Unlimited {
		return &LimitError{Field: "Policy", Value: "zero value", Want: "must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited"}
	}
	return nil
}
