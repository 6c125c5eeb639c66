package admin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// state returns what POST /key/state answers.
func (d *desk) state(t *testing.T, subject string) (state struct {
	Allowed      bool
	RetryAfterMS int64 `json:"retry_after_ms"`
	Source       string
	Plan         string
	Limits       []any
	Block        *struct {
		Until  string
		Reason string
		Own    bool
	}
}) {
	t.Helper()
	w := d.ask(t, "POST", "/key/state", subject)
	if err := json.Unmarshal(w.Body.Bytes(), &state); err != nil || w.Code != 200 {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return state
}

// TestBlock: a key is blocked at once, its state says why and until when, and it is free again at
// the end or when the block is lifted.
func TestBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		for _, subject := range []string{`"key":"customer-17"`, `"key":"customer-19"`, `"key":"unknown"`, `"key":"monitoring"`, `"address":"192.0.2.1"`} {
			before := d.state(t, `{`+subject+`}`)
			if w := d.ask(t, "POST", "/key/block", `{`+subject+`,"until":"2000-01-01T01:00:00Z","reason":"chargeback 4711"}`); w.Code != 204 {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			if e := d.last(); e.Action != admin.ActionBlock || e.Status != 204 || e.Block != "blocked;until=2000-01-01T01:00:00Z;reason=chargeback 4711" || !strings.HasPrefix(e.Key, "sha256:") {
				t.Errorf("%+v", e)
			}
			s := d.state(t, `{`+subject+`}`)
			if s.Allowed || s.RetryAfterMS == 0 || s.Source != "none" || len(s.Limits) > 0 || s.Plan != before.Plan || s.Block == nil || s.Block.Until != "2000-01-01T01:00:00Z" || s.Block.Reason != "chargeback 4711" || !s.Block.Own {
				t.Errorf("%s: %+v, %+v", subject, s, s.Block)
			}
			if w := d.ask(t, "POST", "/key/block", `{`+subject+`}`); w.Code != 204 { // now without an end
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if s := d.state(t, `{`+subject+`}`); s.Allowed || s.RetryAfterMS != 0 || s.Block == nil || s.Block.Until != "" || s.Block.Reason != "" {
				t.Errorf("%s: %+v, %+v", subject, s, s.Block)
			}
			if w := d.ask(t, "POST", "/key/unblock", `{`+subject+`}`); w.Code != 204 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if s := d.state(t, `{`+subject+`}`); !s.Allowed || s.Block != nil || len(s.Limits) != len(before.Limits) {
				t.Errorf("%s: %+v", subject, s)
			}
			wantProblem(t, d.ask(t, "POST", "/key/unblock", `{`+subject+`}`), 404, "no block of its own")
		}
		if w := d.ask(t, "POST", "/key/block", `{"key":"customer-17","until":"2000-01-01T01:00:00+00:30"}`); w.Code != 204 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		table := d.ask(t, "GET", "/table", "")
		if !strings.Contains(table.Body.String(), `"blocked": {`) || !strings.Contains(d.ask(t, "GET", "/table/summary", "").Body.String(), `"blocked":1`) {
			t.Errorf("%s", table.Body)
		}
		if w := d.ask(t, "PUT", "/table", table.Body.String(), "If-Match: "+table.Header().Get("ETag")); w.Code != 204 || d.state(t, `{"key":"customer-17"}`).Block == nil {
			t.Errorf("a table that is put back loses the block: %d %s", w.Code, w.Body)
		}
		time.Sleep(30 * time.Minute)
		if s := d.state(t, `{"key":"customer-17"}`); !s.Allowed || s.Plan != "gold" {
			t.Errorf("%+v", s)
		}
	})
}

// TestBlockRefuses: nothing is changed.
func TestBlockRefuses(t *testing.T) {
	d := newDesk(t)
	for body, want := range map[string]string{
		`{"key":"canary","until":"2000-01-01T01:00:00Z"}`:                                    "must be in the future",
		`{"key":"canary","until":"tomorrow"}`:                                                "must be in the future",
		`{"key":"canary","until":"2999-01-01;reason=x"}`:                                     "must be in the future",
		`{"key":"canary","until":""}`:                                                        "with one text",
		`{"key":"canary","reason":"a;b"}`:                                                    "The reason must be",
		`{"key":"canary","reason":"` + strings.Repeat("r", 129) + `"}`:                       "The reason must be",
		`{"key":"canary","limit":"default"}`:                                                 "with one text",
		`{"key":"canary","reason":"\ud800"}`:                                                 "The reason must be text",
		`{"key":"203.0.113.0/24"}`:                                                           `looks like an address`,
		`{"key":"203.0.113.7"}`:                                                              `looks like an address`,
		`{"key":"203.0.113.*"}`:                                                              `looks like an address`,
		`{"key":"2001:db8::/48"}`:                                                            `looks like an address`,
		`{"hash":"sha256:86de594f7827c0bb6c7eb12b9785936d7d101c6b6143285da524a8654cae77ab"}`: "The key may be its hash",
	} {
		w := d.ask(t, "POST", "/key/block", body)
		if wantProblem(t, w, 400, want); strings.Contains(w.Body.String(), "canary") || d.table.Snapshot().Blocked() != 0 {
			t.Errorf("%s: %s", body, w.Body)
		}
	}
}

// TestBlockWithoutEffect: where the limits do not look a key up in the table, a block is rejected.
func TestBlockWithoutEffect(t *testing.T) {
	table := newTable(t, tableText)
	limits := ratelimit.LimitsFunc(func(ctx context.Context, key string) (*ratelimit.Policy, error) {
		if middleware.IsAddressKey(key) {
			return ratelimit.Unlimited, nil
		}
		return table.PolicyFor(ctx, key)
	})
	d := newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), limits, ratelimit.Config{}), admin.Config{Table: table})
	wantProblem(t, d.ask(t, "POST", "/key/block", `{"address":"192.0.2.1"}`), 409, "do not look this key up")
	if n := table.Snapshot().Blocked(); n != 0 {
		t.Errorf("%d are blocked", n)
	}
	if w := d.ask(t, "POST", "/key/block", `{"key":"a"}`); w.Code != 204 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	without := newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{}), admin.Config{})
	wantProblem(t, without.ask(t, "POST", "/key/block", `{"key":"a"}`), 404, "no table")
	wantProblem(t, without.ask(t, "POST", "/key/unblock", `{"key":"a"}`), 404, "no table")
}

// TestBlockHash: a report shows the hash of a key or of an address, by which it can be blocked.
func TestBlockHash(t *testing.T) {
	d := newDesk(t)
	for who, key := range map[string]string{`{"key":"customer-17"}`: "customer-17", `{"address":"192.0.2.1"}`: " ip 192.0.2.1"} {
		hash := ratelimit.HashKey(key)
		if w := d.ask(t, "POST", "/key/block", `{"key":" `+strings.ToUpper(hash[7:])+`"}`); w.Code != 204 || d.last().Key == hash {
			t.Errorf("a key of 64 digits: %d %s", w.Code, w.Body)
		}
		if w := d.ask(t, "POST", "/key/block", `{"key":" `+hash[:7]+strings.ToUpper(hash[7:])+`","reason":"abuse"}`); w.Code != 204 || d.last().Key != hash || d.last().Block != "blocked;reason=abuse" {
			t.Errorf("%d %s, %+v", w.Code, w.Body, d.last())
		}
		if s := d.state(t, who); s.Allowed || s.Block == nil || !s.Block.Own || s.Block.Reason != "abuse" {
			t.Errorf("%s: %+v", who, s)
		}
		if w := d.ask(t, "POST", "/key/unblock", `{"key":"`+hash+`"}`); w.Code != 204 || !d.state(t, who).Allowed {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		wantProblem(t, d.ask(t, "POST", "/key/unblock", `{"key":"`+hash+`"}`), 404, "no block of its own")
	}
}

// TestBlockPrefix: a prefix of addresses is blocked like an address. An API key that looks like
// one is blocked by its hash.
func TestBlockPrefix(t *testing.T) {
	d := newDesk(t)
	if w := d.ask(t, "POST", "/key/block", `{"address":"192.0.2.0/24","reason":"flood"}`); w.Code != 204 || d.last().Key != ratelimit.HashKey("192.0.2.0/24") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if s := d.state(t, `{"address":"192.0.2.9"}`); s.Allowed || s.Block == nil || s.Block.Reason != "flood" || s.Block.Own {
		t.Errorf("%+v", s)
	}
	if s := d.state(t, `{"key":"192.0.2.9"}`); !s.Allowed {
		t.Errorf("%+v", s)
	}
	if table := d.ask(t, "GET", "/table", "").Body.String(); !strings.Contains(table, `"192.0.2.0/24": "blocked;reason=flood"`) {
		t.Error(table)
	}
	if w := d.ask(t, "POST", "/key/unblock", `{"address":"192.0.2.0/24"}`); w.Code != 204 || !d.state(t, `{"address":"192.0.2.9"}`).Allowed {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, key := range []string{"192.0.2.9", "192.0.2.0/24", "2001:db8::9", "192.0.2.*"} {
		wantProblem(t, d.ask(t, "POST", "/key/block", `{"key":"`+key+`"}`), 400, `looks like an address`)
		subject := `{"key":"` + ratelimit.HashKey(key) + `"}`
		if w := d.ask(t, "POST", "/key/block", subject); w.Code != 204 {
			t.Fatalf("%s: %d %s", key, w.Code, w.Body)
		}
		if s := d.state(t, `{"key":"`+key+`"}`); s.Allowed || s.Block == nil || !s.Block.Own || !d.state(t, `{"address":"192.0.2.9"}`).Allowed || !d.state(t, `{"address":"2001:db8::9"}`).Allowed {
			t.Errorf("%s: %+v", key, s)
		}
		if w := d.ask(t, "POST", "/key/unblock", subject); w.Code != 204 || !d.state(t, `{"key":"`+key+`"}`).Allowed {
			t.Errorf("%s: %d %s", key, w.Code, w.Body)
		}
	}
	for _, body := range []string{`{"address":"192.0.2.1/24"}`, `{"address":"192.0.2.*"}`, `{"address":"2001:db8::/96"}`} {
		if w := d.ask(t, "POST", "/key/block", body); w.Code != 400 {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	wantProblem(t, d.ask(t, "POST", "/key/state", `{"address":"192.0.2.0/24"}`), 400, "must be one of IPv4 or IPv6")
}

// TestBlockNested: the ninth prefix in one another that is blocked until another time is rejected, and one
// that is blocked as long as another is not.
func TestBlockNested(t *testing.T) {
	for name, d := range map[string]*desk{"node": newDesk(t), "fleet": fleetDesk(t)} {
		block := func(bits, year int) *httptest.ResponseRecorder {
			return d.ask(t, "POST", "/key/block", fmt.Sprintf(`{"address":"10.0.0.0/%d","until":"%d-01-01"}`, bits, year))
		}
		for bits := 9; bits < 17; bits++ {
			if w := block(bits, 3000-bits); w.Code != 204 {
				t.Fatalf("%s: %d: %d %s", name, bits, w.Code, w.Body)
			}
		}
		wantProblem(t, block(17, 2900), 400, "More than 8 prefixes in one another")
		wantProblem(t, block(8, 3000), 400, "More than 8 prefixes in one another")
		if s := d.state(t, `{"address":"10.0.0.1"}`); s.Block == nil || !strings.HasPrefix(s.Block.Until, "2984-01-01") {
			t.Errorf("%s: %+v", name, s)
		}
		if w := block(17, 3000-9); w.Code != 204 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func fleetDesk(t *testing.T) *desk {
	t.Helper()
	d, _ := newFleetDesk(t, admin.Config{})
	return d
}
