// Package homes has the rules for organisations that tables and files have in common.
package homes

import (
	"fmt"
	"slices"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// WantName says what the name of an organisation must be like: the rule for names of limits.
var WantName = fmt.Sprintf(`must be 1 to %d printable ASCII characters without " \ ; or , and without a space at either end, such as "acme"`, store.MaxName)

// WantSame says what a shared limit must be like that differs.
const WantSame = "must be the shared limit that the organisation has under this name, since all its keys share one bucket; or have another name"

// ValidName reports whether a text can be the name of an organisation.
func ValidName(name string) bool {
	_, err := store.NewLimit(name, gcra.Rate{})
	return err == nil
}

// Shares reports whether a policy has a shared limit.
func Shares(p *ratelimit.Policy) bool {
	return slices.ContainsFunc(p.Compiled(), func(l store.Limit) bool { return l.Shared })
}

// Shared are the shared limits of one organisation by name.
type Shared map[string]ratelimit.Limit

// Differs adds the shared limits of a policy, nil or not. If one has other numbers than the
// one of its name, Differs returns both without the name, which may be a misplaced key;
// otherwise "".
func (s Shared) Differs(p *ratelimit.Policy) string {
	if p == nil || !Shares(p) {
		return ""
	}
	for _, l := range p.Limits() {
		if !l.Shared {
			continue
		}
		name := l.Name
		l.Name, l.Shadow, l.EnforceFrom, l.EnforceFor, l.Lockout = "", false, 0, 0, ratelimit.Lockout{}
		if other, there := s[name]; there && other != l {
			return fmt.Sprintf("%v beside %v", l, other)
		}
		s[name] = l
	}
	return ""
}
