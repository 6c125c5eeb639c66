package spelling_test

import (
	"testing"

	"github.com/keyrate/keyrate/ratelimit/plans/internal/spelling"
)

func TestMeant(t *testing.T) {
	names := []string{"default", "plans", "members", "keys", "organisations"}
	for text, want := range map[string]string{
		"Keys": "keys", "key": "keys", "kyes": "", "plan": "plans", "defaults": "default", "defaullt": "default",
		"organizations": "organisations", "Member": "members", "": "", "k": "", "kèys": "", "sk-canary": "", "canary": "",
		"keys ": "", "organisationsorganisations": "",
	} {
		if got := spelling.Meant(text, names); got != want {
			t.Errorf("%q means %q, want %q", text, got, want)
		}
	}
}
