package testkit_test

import (
	"slices"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
)

// TestSpelled finds each spelling by its name, and nothing where there is none.
func TestSpelled(t *testing.T) {
	const key = testkit.Canary
	seen := map[string]string{}
	for name, spelling := range testkit.Spellings(key) {
		if other, ok := seen[spelling]; ok {
			t.Errorf("%s and %s are the same: %s", name, other, spelling)
		}
		seen[spelling] = name
		if found := testkit.Spelled("GET /limits?key="+spelling+": denied", key); !slices.Contains(found, name) {
			t.Errorf("%s: found %v in %s", name, found, spelling)
		}
	}
	if n := len(testkit.SpellingNames()); n < 12 || n != len(seen) {
		t.Errorf("%d spellings; want 12 or more", n)
	}
	if found := testkit.Spelled("GET /limits?key=sk_live: denied", key); found != nil {
		t.Errorf("found %v where there is no key", found)
	}
}
