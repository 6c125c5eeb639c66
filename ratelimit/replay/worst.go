package replay

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
)

// mostWorst is how many of the worst keys an outcome has.
const mostWorst = 10

// worst are the keys with the most denials that were added.
type worst []offender

// An offender is a key, by its number.
type offender struct {
	key              int
	requests, denied int64
	first, last      int64 // denials, in microseconds since 1970
}

// add keeps the keys with the most denials; of two with as many, the first.
func (w *worst) add(o offender) {
	if len(*w) < mostWorst {
		*w = append(*w, o)
		return
	}
	least := 0
	for i := range *w {
		if (*w)[i].denied <= (*w)[least].denied {
			least = i
		}
	}
	if (*w)[least].denied < o.denied {
		*w = append(slices.Delete(*w, least, least+1), o)
	}
}

func (w worst) sorted() []offender {
	slices.SortStableFunc(w, func(a, b offender) int { return cmp.Compare(b.denied, a.denied) })
	return w
}

// hashOf returns what a result shows of a key. A log may have the hashes in place of the keys.
func hashOf(key string) string {
	const prefix = "sha256:"
	if _, err := hex.DecodeString(strings.TrimPrefix(key, prefix)); err == nil && len(key) == len(prefix)+2*sha256.Size {
		return key
	}
	return ratelimit.HashKey(key)
}
