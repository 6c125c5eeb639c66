package plans

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
)

// An Override holds a key or a plan of a table to another policy until an instant. The table of a
// fleet, of package store/redisstore/table, ends it by itself on all nodes.
type Override struct {
	// Key is an API key or its hash, as [ratelimit.HashKey] returns it. Either Key or Plan is set.
	Key string
	// Plan is the name of a plan.
	Plan string
	// Policy is what the key or the plan is held to. Either Policy or Factor is set.
	Policy *ratelimit.Policy
	// Factor multiplies the rate and the burst of each limit, but of none that keys share: 10
	// makes "5/s" "50/s". A policy that is blocked stays so, as does a key in TableConfig.Blocked.
	// A later edit of the table may raise a limit so far that the factor is too large for it: then
	// the largest factor applies that it can have.
	Factor int
	// Until is when it ends, cut off to a whole millisecond. Its year in UTC is at most 9999.
	Until time.Time
}

// jsonOverride is the form of an [Override] in a document.
type jsonOverride struct {
	Key    string    `json:"key,omitempty"`
	Plan   string    `json:"plan,omitempty"`
	Policy string    `json:"policy,omitempty"`
	Factor int       `json:"factor,omitempty"`
	Until  time.Time `json:"until"`
}

// MarshalJSON writes a hash for the key.
func (o Override) MarshalJSON() ([]byte, error) {
	j := jsonOverride{Plan: o.Plan, Factor: o.Factor, Until: o.Until.UTC().Truncate(time.Millisecond)}
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
	read := Override{Key: j.Key, Plan: j.Plan, Factor: j.Factor, Until: j.Until}
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

// hashed returns the hash of a key, which may be one already.
func hashed(key string) string {
	if strings.HasPrefix(key, keyhash.Prefix) {
		return strings.ToLower(key)
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
		o.Key = hashed(o.Key)
	}
	o.Until = o.Until.UTC().Truncate(time.Millisecond)
	if len(faults) == 0 {
		_, faults = s.With([]Override{o})
	}
	return o, errors.Join(faults...)
}

// Subject names what o is about, with a hash for a key.
func (o Override) Subject() string {
	if o.Key != "" {
		return fmt.Sprintf("key %.19s…", hashed(o.Key))
	}
	return "plan " + o.Plan
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
