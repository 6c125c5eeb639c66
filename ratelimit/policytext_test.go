package ratelimit_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

func TestParsePolicy(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"unlimited", "unlimited"},
		{" unlimited\n", "unlimited"},
		{"5/s", "5/s"},
		{"5/1s;burst=5", "5/s"},
		{"10/s, 1000/h;name=hourly", "10/s, 1000/h;name=hourly"},
		{"10/s,1000/h;name=hourly;shadow ,\t9/d;name=a b", "10/s, 1000/h;name=hourly;shadow, 9/d;name=a b"},
	} {
		p, err := ratelimit.ParsePolicy(test.text)
		if err != nil || p.String() != test.want {
			t.Errorf("%q: %v, %v; want %s", test.text, p, err, test.want)
			continue
		}
		if (p == ratelimit.Unlimited) != (test.want == "unlimited") {
			t.Errorf("%q: unlimited is one policy, and no other is", test.text)
		}
		again, err := ratelimit.ParsePolicy(p.String())
		if err != nil || again.String() != test.want {
			t.Errorf("%q is read back as %v, %v", p, again, err)
		}
		if text, err := json.Marshal(p); err != nil || string(text) != `"`+test.want+`"` {
			t.Errorf("%q: JSON %s, %v", test.text, text, err)
		}
	}
}

func TestParsePolicyRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "must be RATE/PERIOD"},
		{"none", "must be RATE/PERIOD"},
		{"5/s,5", "must be RATE/PERIOD"},
		{"5/s, unlimited", `must be limits or "unlimited", not both`},
		{"5/s, 6/s", "must differ from the other limits of the policy"},
		{"5/s, 6/x, seven", `"6/x"`},
		{"5/s, 6/x, seven", `"seven"`},
		{"1/s;name=a,1/s;name=b,1/s;name=c,1/s;name=d,1/s;name=e", "must be 1 to 4"},
	} {
		p, err := ratelimit.ParsePolicy(test.text)
		if p != nil || len(ratelimit.Faults(err)) == 0 || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, %v; want an error with %q", test.text, p, err, test.want)
		}
	}
}

// TestInvalidPolicyHasNoText: a policy that NewPolicy did not make is printed, but has no
// text that can be read.
func TestInvalidPolicyHasNoText(t *testing.T) {
	for _, p := range []*ratelimit.Policy{nil, {}} {
		if text, err := p.MarshalText(); err == nil {
			t.Errorf("%#v: %q", p, text)
		}
		if read, err := ratelimit.ParsePolicy(p.String()); err == nil {
			t.Errorf("%#v: %q is read as %v", p, p.String(), read)
		}
	}
}
