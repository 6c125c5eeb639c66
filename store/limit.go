package store

import (
	"fmt"
	"hash/maphash"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// MaxName is the longest name of a limit, in bytes.
const MaxName = 64

// A Limit is a limit as stores work with it: a compiled rate and a name. It holds no
// state and is safe for concurrent use. Make one with [NewLimit].
type Limit struct {
	gcra.Rate
	// Name distinguishes the limits of one key: 1 to [MaxName] printable ASCII characters
	// without " \ ; or , and without a space at either end. Limits of one name share the
	// key's bucket; a Shared one has another bucket than one that is not.
	Name string
	// Shared makes the bucket one of the key's home: see [Request.Home].
	Shared bool

	hash uint64
}

// nameSeed makes the hashes of names differ between programs.
var nameSeed = maphash.MakeSeed()

// NewLimit returns the limit of a rate under a name, or an error if the name is not valid.
func NewLimit(name string, r gcra.Rate) (Limit, error) {
	if !validName(name) {
		return Limit{}, fmt.Errorf(`store: name %q must be 1 to %d printable ASCII characters without " \ ; or , and without a space at either end`, name, MaxName)
	}
	return Limit{Rate: r, Name: name, hash: maphash.String(nameSeed, name)}, nil
}

// NameHash returns a hash of the limit's name, the same as long as the program runs.
func (l *Limit) NameHash() uint64 { return l.hash }

// Tokens returns how many tokens a call of cost n takes of l: n or, of a loan, 1 at most.
func (l *Limit) Tokens(n int) int {
	if l.Loan() {
		return min(n, 1)
	}
	return n
}

// String describes l for messages.
func (l Limit) String() string {
	num, den := l.Interval()
	if den == 1 {
		return fmt.Sprintf("%q of %d tokens, one in %d µs", l.Name, l.Burst(), num)
	}
	return fmt.Sprintf("%q of %d tokens, one in %d/%d µs", l.Name, l.Burst(), num, den)
}

// validName reports whether a limit may have this name. Header fields, the text form of a
// limit and the keys of Redis can all carry such names unchanged.
func validName(s string) bool {
	if s == "" || len(s) > MaxName || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' || c == ';' || c == ',' {
			return false
		}
	}
	return true
}
