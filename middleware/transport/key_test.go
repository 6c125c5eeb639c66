package transport

import (
	"net/http"
	"testing"
)

// TestCredentials: each header that APIs take keys from makes a key of its own, which
// depends on its value and on no other header.
func TestCredentials(t *testing.T) {
	seen := map[string]string{}
	for _, name := range append([]string{""}, credentialHeaders...) {
		for _, value := range []string{"alice", "bob"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://api.example.com/", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", value)
			if name != "" {
				r.Header.Set(name, value)
			}
			who := name + " " + value
			if name == "" {
				who = "nobody"
			}
			key := credentials(r)
			if other, found := seen[key]; found && other != who {
				t.Errorf("%s has the key of %s", who, other)
			}
			seen[key] = who
		}
	}
	if want := 1 + 2*len(credentialHeaders); len(seen) != want {
		t.Errorf("%d keys, want %d", len(seen), want)
	}
}
