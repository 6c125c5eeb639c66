package ratelimit_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

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

// TestParsePolicyFaultsAreBounded: the error about a text is not many times as long as it.
func TestParsePolicyFaultsAreBounded(t *testing.T) {
	for _, part := range []string{"unlimited,", ",", "x,", "1/s;name=" + strings.Repeat("n", 65) + ","} {
		text := strings.Repeat(part, 2000)
		_, err := ratelimit.ParsePolicy(text)
		if err == nil {
			t.Fatalf("%q was read", part)
		}
		if n := len(err.Error()); n > 2*len(text)+4000 {
			t.Errorf("%q, %d bytes in all: an error of %d bytes", part, len(text), n)
		}
	}
}

// FuzzParsePolicy: what is read can be printed and read again, as the same policy; what is
// not read is rejected with a LimitError.
func FuzzParsePolicy(f *testing.F) {
	for _, text := range []string{
		"5/s", "unlimited", " unlimited ", "10/s, 1000/h;name=hourly", "1/s;burst=3;name=a b;shadow,2/7d;enforce-from=2027-01-31",
		"1/s;enforce-from=2027-01-31T09:00:00+02:00", "1/s;enforce-from=9999-12-31T23:59:59Z", "1/s;enforce-from=1970-01-01", "1/s;name=a=b/c",
		"1/s;name=unlimited", "1/s;shadow;enforce-from=2027-02-29", "5/s,,", "unlimited, 5/s", "1/s,1/s", "1/1.5s\n,\t3/us;name=x", "1/s;name=\x00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ratelimit.ParsePolicy(text)
		if err != nil {
			if p != nil || len(ratelimit.Faults(err)) == 0 {
				t.Fatalf("%v, %v", p, err)
			}
			return
		}
		printed := p.String()
		again, err := ratelimit.ParsePolicy(printed)
		if err != nil || again.String() != printed || !slices.Equal(again.Limits(), p.Limits()) || (again == ratelimit.Unlimited) != (p == ratelimit.Unlimited) {
			t.Fatalf("%q is printed as %q and read back as %v, %v", text, printed, again, err)
		}
		if p != ratelimit.Unlimited {
			if made, err := ratelimit.NewPolicy(p.Limits()...); err != nil || made.String() != printed {
				t.Fatalf("%q: NewPolicy makes %v, %v of its limits", text, made, err)
			}
		}
	})
}

// TestPolicyTextOfEveryName: every byte that a name may hold, and no other, comes through
// the text, and through JSON.
func TestPolicyTextOfEveryName(t *testing.T) {
	type file struct {
		Limit  ratelimit.Limit
		Policy *ratelimit.Policy
		Limits map[string]ratelimit.Limit
	}
	ok := 0
	for c := range 256 {
		l := ratelimit.PerHour(3).Named("a" + string([]byte{byte(c)}) + "z").EnforcedFrom(time.Unix(1_800_000_000, 0))
		p, err := ratelimit.NewPolicy(ratelimit.PerSecond(1), l)
		if err != nil {
			continue
		}
		ok++
		if again, err := ratelimit.ParsePolicy(p.String()); err != nil || !slices.Equal(again.Limits(), p.Limits()) {
			t.Errorf("%q is read back as %v, %v", p, again, err)
		}
		text, err := json.Marshal(file{l, p, map[string]ratelimit.Limit{"x": l}})
		if err != nil {
			t.Error(err)
		}
		var read struct {
			Limit  ratelimit.Limit
			Policy string
			Limits map[string]ratelimit.Limit
		}
		if err := json.Unmarshal(text, &read); err != nil || read.Limit.String() != l.String() || read.Policy != p.String() || read.Limits["x"] != read.Limit {
			t.Errorf("%s is read back as %+v, %v", text, read, err)
		}
	}
	if want := '~' - ' ' + 1 - len(`"\;,`); ok != want {
		t.Errorf("%d bytes can be in a name, want %d", ok, want)
	}
}
