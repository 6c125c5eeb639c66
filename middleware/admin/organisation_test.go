package admin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

const organisationText = `{
  "default": "5/h",
  "plans": {"gold": ["10/h", "12/h;name=org;shared"]},
  "organisations": {
    "acme": {"plan": "gold", "members": ["acme-1", "acme-2"], "keys": {"acme-3": "3/h"}},
    "initech": {"limits": "7/h;shared", "members": ["initech-1"]}
  }
}`

// TestOrganisation: the state of a key names its organisation and no other key. A reset
// fills the key's own buckets, and what is shared only if asked to.
func TestOrganisation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newTable(t, organisationText)
		l := newLimiter(t, memstore.New(memstore.Config{}), table, ratelimit.Config{})
		part, err := l.With(ratelimit.PerDay(100).Named("GET /export"))
		if err != nil {
			t.Fatal(err)
		}
		d := newDeskOn(t, l, admin.Config{Table: table})
		left := func(key string, want ...int) {
			t.Helper()
			var state struct {
				Plan, Organisation string
				Limits, Parts      []struct {
					Limit     string
					Remaining int
				}
			}
			w := d.ask(t, "POST", "/key/state", `{"key":"`+key+`"}`)
			if err := json.Unmarshal(w.Body.Bytes(), &state); err != nil || w.Code != 200 {
				t.Fatalf("%d, %v: %s", w.Code, err, w.Body)
			}
			got := map[string]int{}
			for _, l := range append(state.Limits, state.Parts...) {
				got[l.Limit] = l.Remaining
			}
			for i, limit := range []string{"10/h", "12/h;name=org;shared", "100/d;name=GET /export"} {
				if got[limit] != want[i] {
					t.Errorf("%s: %d left of %s, want %d", key, got[limit], limit, want[i])
				}
			}
			if state.Organisation != "acme" || state.Plan != "gold" {
				t.Errorf("organisation %q, plan %q", state.Organisation, state.Plan)
			}
			for _, other := range []string{"acme-1", "acme-2", "acme-3"} {
				for _, text := range []string{other, ratelimit.HashKey(other)} {
					if other != key && strings.Contains(w.Body.String(), text) {
						t.Errorf("the state of %s has another key: %s", key, w.Body)
					}
				}
			}
		}
		reset := func(path, body string, want admin.Event) {
			t.Helper()
			w := d.ask(t, "POST", path, body)
			if want.Status = 204; w.Code != 204 || w.Body.Len() > 0 || d.last() != want {
				t.Errorf("%d, %+v, want %+v: %s", w.Code, d.last(), want, w.Body)
			}
		}
		use := func() {
			for _, key := range []string{"acme-1", "acme-2"} {
				if r, err := part.AllowN(t.Context(), key, 5); !r.Allowed || err != nil {
					t.Fatalf("%v, %v", r.Allowed, err)
				}
			}
		}
		first, second := ratelimit.HashKey("acme-1"), ratelimit.HashKey("acme-2")
		use()
		left("acme-1", 5, 2, 95)
		left("acme-2", 5, 2, 95)
		reset("/key/reset", `{"key":"acme-1"}`, admin.Event{Action: admin.ActionReset, Key: first})
		left("acme-1", 10, 2, 100)
		left("acme-2", 5, 2, 95)
		reset("/key/reset-shared", `{"key":"acme-1"}`, admin.Event{Action: admin.ActionResetShared, Key: first})
		left("acme-1", 10, 12, 100)
		left("acme-2", 5, 12, 95)
		use()
		reset("/key/reset", `{"key":"acme-2","limit":"org"}`, admin.Event{Action: admin.ActionReset, Key: second, Limit: "org"})
		left("acme-1", 5, 12, 95)
		left("acme-2", 0, 12, 90)

		// Nothing is shared by a key without an organisation.
		if _, err := l.Allow(t.Context(), "stranger"); err != nil {
			t.Fatal(err)
		}
		reset("/key/reset-shared", `{"key":"stranger"}`, admin.Event{Action: admin.ActionResetShared, Key: ratelimit.HashKey("stranger")})
		if w := d.ask(t, "POST", "/key/state", `{"key":"stranger"}`); !strings.Contains(w.Body.String(), `"remaining":4`) || strings.Contains(w.Body.String(), "organisation") {
			t.Errorf("%s", w.Body)
		}
		// Neither a plan nor a key is what the organisation has in place of one.
		if w := d.ask(t, "POST", "/key/state", `{"key":"initech-1"}`); !strings.Contains(w.Body.String(), `"exempt":false,"organisation":"initech","allowed":true`) {
			t.Errorf("%s", w.Body)
		}
	})
}

// TestOrganisationsInTheTable are shown with hashes for their keys, and can be put back.
func TestOrganisationsInTheTable(t *testing.T) {
	table := newTable(t, organisationText)
	d := newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), table, ratelimit.Config{}), admin.Config{Table: table})
	w := d.ask(t, "GET", "/table", "")
	etag := w.Header().Get("ETag")
	want := `  "organisations": {
    "acme": {
      "plan": "gold",
      "members": [
        "` + ratelimit.HashKey("acme-1") + `",
        "` + ratelimit.HashKey("acme-2") + `"
      ],
      "keys": {
        "` + ratelimit.HashKey("acme-3") + `": "3/h"
      }
    },
    "initech": {
      "limits": "7/h;shared",
      "members": [
        "` + ratelimit.HashKey("initech-1") + `"
      ]
    }
  }
}
`
	if !strings.HasSuffix(w.Body.String(), want) {
		t.Errorf("%s\nwant %s", w.Body, want)
	}
	if s := d.ask(t, "GET", "/table/summary", ""); strings.TrimSpace(s.Body.String()) != `{"default":"5/h","plans":{"gold":{"policy":"10/h, 12/h;name=org;shared","members":0}},"keys":0,"organisations":{"acme":{"plan":"gold","keys":3},"initech":{"policy":"7/h;shared","keys":1}}}` {
		t.Errorf("%s", s.Body)
	}
	if put := d.ask(t, "PUT", "/table", w.Body.String(), "If-Match: "+etag); put.Code != 204 || put.Header().Get("ETag") != etag {
		t.Errorf("%d: %s", put.Code, put.Body)
	}
	for key, want := range map[string]string{"acme-1": "acme", "acme-3": "acme", "initech-1": "initech"} {
		if name, ok := table.OrganisationOf(key); name != want || !ok {
			t.Errorf("%s belongs to %q", key, name)
		}
	}
	for body, want := range map[string]string{
		`{"canary":{"plan":"gold"}}`:                                      `"place":"organisations[sha256:e100fbce008c…].plan","detail":"must be the name of one`,
		`{"acme":{"plan":"gold"}}`:                                        `"place":"organisations[\"acme\"].plan","detail":"must be the name of one`,
		`{"acme":{"limits":"1/s","members":["canary "]}}`:                 `"place":"organisations[\"acme\"].members[sha256:65cda8776143…]","detail":"must have no spaces`,
		`{"acme":{"limits":"1/s","keys":{" canary":"2/s"}}}`:              `"place":"organisations[\"acme\"].keys[sha256:`,
		`{"acme":{"limits":"1/s","keys":{"canary":"0/s"}}}`:               `"place":"organisations[\"acme\"].keys[sha256:e100fbce008c…].Rate, line 1, column `,
		`{"acme":{"limits":"1/s;shared","keys":{"canary":"2/s;shared"}}}`: `"detail":"must be the shared limit that the organisation has under this name`,
		`{"acme":{"limits":"1/s","canary":1}}`:                            `"place":"organisations[\"acme\"], line 1, column 58","detail":"must be one of plan, limits, members and keys"`,
	} {
		w := d.ask(t, "PUT", "/table", `{"default":"5/s","organisations":`+body+`}`, "If-Match: "+etag)
		wantProblem(t, w, 422, want)
		if strings.Contains(w.Body.String(), "canary") {
			t.Errorf("what was sent comes back: %s", w.Body)
		}
	}
}
