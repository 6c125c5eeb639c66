package plans

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/address"
)

// An Override holds a key or a plan of a table to another policy until an instant. The table of a
// fleet, of package store/redisstore/table, ends it by itself on all nodes.
type Override struct {
	// Key is an API key or its hash, as [ratelimit.HashKey] returns it, an address or a prefix, as in
	// a [TableConfig]. Either Key or Plan is set. An override of a prefix holds for its addresses,
	// except those in a longer prefix that is listed or overridden.
	Key string
	// Plan is the name of a plan.
	Plan string
	// Policy is what the key or the plan is held to. Either Policy or Factor is set.
	Policy *ratelimit.Policy
	// Factor multiplies the rate and the burst of each limit, but of none that keys share: 10
	// makes "5/s" "50/s". A policy that is blocked stays so, as does a key in TableConfig.Blocked.
	// A later edit of the table may raise a limit so far that the factor is too large for it: then
	// the largest factor applies that it can have.
	//
	// An address or a prefix that is not listed has the limits of the longest prefix around it, for an
	// address the one that is there when the override is made: its hash does not show that. So in
	// a table with prefixes, a hash that is not listed takes a Policy, and no Factor.
	Factor int
	// Until is when it ends, cut off to a whole millisecond. Its year in UTC is at most 9999.
	Until time.Time

	within string // the prefix that held the address then
}

// jsonOverride is the form of an [Override] in a document.
type jsonOverride struct {
	Key    string    `json:"key,omitempty"`
	Within string    `json:"within,omitempty"`
	Plan   string    `json:"plan,omitempty"`
	Policy string    `json:"policy,omitempty"`
	Factor int       `json:"factor,omitempty"`
	Until  time.Time `json:"until"`
}

// MarshalJSON writes a hash for the key, and a prefix as it is.
func (o Override) MarshalJSON() ([]byte, error) {
	j := jsonOverride{Within: o.within, Plan: o.Plan, Factor: o.Factor, Until: o.Until.UTC().Truncate(time.Millisecond)}
	if o.Key != "" {
		j.Key = hashed(o.Key)
	}
	if o.Policy != nil {
		j.Policy = o.Policy.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Override) UnmarshalJSON(data []byte) error {
	var j jsonOverride
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	read := Override{Key: j.Key, Plan: j.Plan, Factor: j.Factor, Until: j.Until, within: j.Within}
	if j.Policy != "" {
		var err error
		if read.Policy, err = ratelimit.ParsePolicy(j.Policy); err != nil {
			return err
		}
	}
	if read.Policy == nil && read.Factor < 1 {
		return errNoOverride
	}
	*o = read
	return nil
}

// hashed returns what a hashed table has for a key: its hash, which it may be already, or a prefix.
func hashed(key string) string {
	if strings.HasPrefix(key, keyhash.Prefix) {
		return strings.ToLower(key)
	}
	key = canonical(key)
	if _, ok := address.ParsePrefix(key); ok {
		return key
	}
	return ratelimit.HashKey(key)
}

// Normal returns o with a hash for its key, or the faults that it has at an instant for a table, which
// has all other overrides: see [Snapshot.With].
func (o Override) Normal(now time.Time, s Snapshot) (Override, error) {
	var faults []error
	fault := func(field string, value any, want string) {
		faults = append(faults, &ratelimit.LimitError{Field: "Override." + field, Value: value, Want: want})
	}
	if (o.Key == "") == (o.Plan == "") {
		fault("Key", "not one of Key and Plan", "must be set, or Plan, but not both")
	}
	if (o.Policy == nil) == (o.Factor == 0) {
		fault("Policy", "not one of Policy and Factor", "must be set, or Factor, but not both")
	}
	if o.Factor < 0 {
		fault("Factor", o.Factor, "must be at least 1, such as 10")
	}
	if !o.Until.After(now) {
		fault("Until", o.Until.UTC().Format(time.RFC3339), "must be in the future; the clock shows "+now.UTC().Format(time.RFC3339))
	}
	if o.Until.UTC().Year() > 9999 { // RFC 3339 cannot write it
		fault("Until", "after the year 9999 in UTC", "must be in the year 9999 or before")
	}
	if o.Plan != "" && !s.HasPlan(o.Plan) {
		fault("Plan", "unknown", "must be the name of a plan of the table")
	}
	if o.Key != "" {
		if value, want := o.normalKey(s.Hashed().content); want != "" {
			fault("Key", value, want)
		}
	}
	o.Until = o.Until.UTC().Truncate(time.Millisecond)
	if len(faults) == 0 {
		_, faults = s.With([]Override{o})
	}
	return o, errors.Join(faults...)
}

// normalKey puts its hash in place of the key of o, or returns what is wrong with the key.
func (o *Override) normalKey(c *tableContent) (value, want string) {
	key := canonical(o.Key)
	p, isAddress := address.ParseKey(key)
	_, isPrefix := address.ParsePrefix(key)
	hash, isHash := parseHash(key)
	switch {
	case isAddress:
		o.within = c.longest(p).String()
	case isHash && o.Factor != 0 && o.within == "" && c.byHash[hash] == nil && c.byPrefix.Len()+c.blocks.byPrefix.Len() > 0:
		return "a hash that is not listed", wantWhose
	case strings.HasPrefix(key, keyhash.Prefix) && !isHash:
		return "not a hash", wantHash
	case !isPrefix && address.Is(key):
		return "an address", address.Want
	}
	o.Key = hashed(key)
	return "", ""
}

const wantWhose = "must be the key or the address itself: it could be the hash of an address, which does not show the prefix whose limits Factor multiplies; or set Policy in place of Factor"

// Subject names what o is about, with a hash for a key.
func (o Override) Subject() string {
	if o.Key == "" {
		return "plan " + o.Plan
	}
	key := hashed(o.Key)
	if _, ok := address.ParsePrefix(key); ok {
		return "addresses " + key
	}
	return fmt.Sprintf("key %.19s…", key)
}

// String describes o, with a hash for a key.
func (o Override) String() string {
	to := fmt.Sprintf("x%d", o.Factor)
	if o.Policy != nil {
		to = o.Policy.String()
	}
	return fmt.Sprintf("override of %s: %s until %s", o.Subject(), to, o.Until.Format(time.RFC3339Nano))
}

// Same reports whether two overrides are about the same key or plan.
func (o Override) Same(p Override) bool {
	return o.Plan == p.Plan && (o.Key == "") == (p.Key == "") && hashed(o.Key) == hashed(p.Key)
}

var errNoOverride = errors.New("plans: an override must have a policy or a factor")
