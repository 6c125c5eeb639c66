package plans_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestTableFaultsShowNoKey: a key may stand where a limit, or a plan, of a key belongs, and
// a text without a slash may be a key anywhere.
func TestTableFaultsShowNoKey(t *testing.T) {
	for _, secret := range []string{testkit.Canary, "sk-canary-987", "sk_live_0123456789abcdef"} {
		quote := func(s string) string { text, _ := json.Marshal(s); return string(text) }
		var tables []string
		for _, limit := range []string{
			secret, "5/s;" + secret, "5/s;shadow;" + secret, "5/s;burst=" + secret, "0/s;name=" + secret, "5/s;enforce-from=" + secret, "5/" + secret, secret + "/s",
			"5/s, " + secret, "5/s;name=x" + secret + ", 6/s;name=x" + secret, "5 per " + secret,
		} {
			tables = append(tables, `{"default":7,"keys":{"alice":`+quote(limit)+`}}`, `{"default":7,"keys":{"alice":["1/h;name=a",`+quote(limit)+`]}}`)
		}
		tables = append(tables, `{"default":`+quote(secret)+`}`, `{"default":["1/s",`+quote(secret)+`]}`, `{"default":"1/s","plans":{"gold":`+quote(secret)+`}}`,
			`{"default":"1/s","members":{"alice":`+quote(secret)+`}}`)
		for _, table := range tables {
			c, err := plans.ReadTableConfig(strings.NewReader(table))
			if err == nil {
				_, err = plans.NewTable(c)
			}
			if err == nil {
				t.Errorf("%s is taken", table)
				continue
			}
			if found := testkit.Spelled(err.Error()+fmt.Sprintf("%+v", err), secret); found != nil {
				t.Errorf("%s: shown (%v) in %v", table, found, err)
			}
		}
	}
	// What can only be a limit is shown, so that its fault is found quickly.
	for table, want := range map[string]string{
		`{"default":"5/s;shadw"}`:                     `"5/s;shadw"`,
		`{"default":"unlimitted"}`:                    `"unlimitted"`,
		`{"default":"1/s","plans":{"gold":"5/s;x"}}`:  `"5/s;x"`,
		`{"default":"0/s"}`:                           "Rate 0",
		`{"default":"5/s;burst=3;name=a;weekly;x=1"}`: "its part 4 is none of them",
	} {
		if _, err := plans.ReadTableConfig(strings.NewReader(table)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s in it", table, err, want)
		}
	}
}

// TestKeyWithASlashIsNotShown: a key in base64, where a limit belongs, may begin with digits.
func TestKeyWithASlashIsNotShown(t *testing.T) {
	const key = "3fK9/aLoNgSeCrEtKeY0123456789abcdefgh=="
	for _, text := range []string{
		`{"default": "` + key + `"}`,
		`{"default": "5/s", "plans": {"gold": "` + key + `"}}`,
		`{"default": "5/s", "plans": {"gold": ["` + key + `"]}}`,
		`{"default": "5/s", "keys": {"5/s": "` + key + `"}}`,
		`{"default": "7/` + strings.Repeat(key, 3) + `"}`,
	} {
		if _, err := plans.ReadTableConfig(strings.NewReader(text)); err == nil || strings.Contains(err.Error(), "aLoNgSeCrEtKeY") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
