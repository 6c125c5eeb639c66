package memstore

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/store"
)

// TestPrintShowsNoSeed: with the seeds, keys that collide can be made up, and a printed
// store may end up in a log.
func TestPrintShowsNoSeed(t *testing.T) {
	s := New(Config{MaxKeys: 10})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		holder := struct{ Store store.Store }{s}
		text := fmt.Sprintf(verb, s) + " " + fmt.Sprintf(verb, holder)
		for _, seed := range s.seeds {
			if strings.Contains(text, strings.Trim(fmt.Sprintf(verb, seed), "{}")) {
				t.Errorf("%s prints a seed: %s", verb, text)
			}
		}
	}
}
