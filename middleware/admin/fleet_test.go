package admin_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// aFleet is a fleet of one node, which remembers all versions.
type aFleet struct {
	*plans.Table

	mu       sync.Mutex
	versions []plans.TableConfig
	changes  []plans.Change
	override []plans.Override
	fails    error // what changes return, if not nil
	panics   bool
}

func newFleet(t *testing.T) *aFleet {
	t.Helper()
	table := newTable(t, tableText)
	return &aFleet{Table: table, versions: []plans.TableConfig{table.Config()}}
}

func (f *aFleet) change(who string, what ...string) {
	f.versions = append(f.versions, f.Config())
	f.changes = append([]plans.Change{{Version: int64(len(f.versions)), At: time.Unix(1e9, 0), Who: who, What: what}}, f.changes...)
}

// fault returns what a change returns, or panics.
func (f *aFleet) fault() error {
	if f.panics {
		panic("fleet")
	}
	return f.fails
}

func (f *aFleet) Replace(_ context.Context, who string, s plans.Snapshot, c plans.TableConfig) (plans.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fault(); err != nil {
		return plans.Snapshot{}, err
	}
	replaced, err := s.Replace(c)
	if err == nil {
		f.change(who, replaced.Since(s)...)
	}
	return replaced, err
}

func (f *aFleet) Changes() []plans.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.changes)
}

func (f *aFleet) RollBack(_ context.Context, who string, version int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fault(); err != nil {
		return err
	}
	if version < 1 || version > int64(len(f.versions)) {
		return plans.ErrNoVersion
	}
	err := f.Table.Replace(f.versions[version-1])
	f.change(who, fmt.Sprintf("rolled back to %d", version))
	return err
}

func (f *aFleet) Override(_ context.Context, who string, o plans.Override) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := o.Normal(time.Now(), f.Snapshot())
	if err == nil {
		f.override = append(f.override, o)
		f.change(who, o.String())
	}
	return err
}

func (f *aFleet) EndOverride(_ context.Context, who, key, plan string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.change(who, "ended "+plans.Override{Key: key, Plan: plan}.Subject())
	return nil
}

// newFleetDesk opens a desk on a fleet.
func newFleetDesk(t *testing.T, c admin.Config) (*desk, *aFleet) {
	t.Helper()
	f := newFleet(t)
	c.Table, c.Fleet = f.Table, f
	return newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), f.Table, ratelimit.Config{}), c), f
}

// TestFleet: what operators put, roll back and override goes through the fleet, with their names.
func TestFleet(t *testing.T) {
	d, f := newFleetDesk(t, admin.Config{})
	w := d.ask(t, "GET", "/table", "")
	changed := strings.Replace(w.Body.String(), `"50/s"`, `"60/s"`, 1)
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("anna:operator"))
	put := d.ask(t, "PUT", "/table", changed, "If-Match: "+w.Header().Get("ETag"), basic)
	if put.Code != 204 || put.Header().Get("ETag") != d.ask(t, "GET", "/table", "").Header().Get("ETag") {
		t.Fatalf("%d: %s", put.Code, put.Body)
	}
	wantProblem(t, d.ask(t, "PUT", "/table", changed, "If-Match: "+w.Header().Get("ETag")), 412, "is not the one that If-Match names")
	if w := d.ask(t, "POST", "/table/rollback", `{"version":1}`, basic); w.Code != 204 || w.Header().Get("ETag") == "" {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	if e := d.last(); e.Action != admin.ActionRollBack || e.Status != 204 || e.ETag == "" {
		t.Errorf("%+v", e)
	}
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if w := d.ask(t, "POST", "/table/override", `{"key":" customer-17 ","factor":10,"until":"`+until+`"}`); w.Code != 204 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	if e := d.last(); e.Action != admin.ActionOverride || e.Key != ratelimit.HashKey("customer-17") {
		t.Errorf("%+v", e)
	}
	if w := d.ask(t, "POST", "/table/override", `{"plan":"gold","policy":"1/m","until":"`+until+`"}`); w.Code != 204 || len(f.override) != 2 || f.override[1].Policy.String() != "1/m" || f.override[0].Key != ratelimit.HashKey("customer-17") {
		t.Errorf("%d: %s, %v", w.Code, w.Body, f.override)
	}
	if w := d.ask(t, "POST", "/table/override", `{"key":"`+ratelimit.HashKey("customer-17")+`"}`); w.Code != 204 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	for address, want := range map[string]string{"192.0.2.1": ratelimit.HashKey(" ip 192.0.2.1"), "2001:db8::5": ratelimit.HashKey(" ip 2001:db8::/64"), "192.0.2.0/24": "192.0.2.0/24"} {
		if w := d.ask(t, "POST", "/table/override", `{"address":"`+address+`","factor":10,"until":"`+until+`"}`); w.Code != 204 || f.override[len(f.override)-1].Key != want {
			t.Errorf("%d: %s, %v", w.Code, w.Body, f.override)
		}
	}
	got := d.ask(t, "GET", "/table/changes", "").Body.String()
	for _, want := range []string{`"who":"anna","what":["plan gold: 50/s, 100000/d;name=daily -\u003e 60/s`, `"who":"anna","what":["rolled back to 1"]`, `"who":"192.0.2.1","what":["override of key sha256:`, `: x10 until `, `ended key sha256:`, `{"changes":[{"version":9,"at":"2001-09-09T01:46:40Z"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "customer") {
		t.Errorf("a key is shown: %s", got)
	}
}

// TestFleetFaults: what the fleet does not accept, and what it cannot do.
func TestFleetFaults(t *testing.T) {
	d, f := newFleetDesk(t, admin.Config{})
	until := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	for body, c := range map[string]struct {
		status int
		text   string
	}{
		`{"key":"canary","factor":-1,"until":"` + until + `"}`:              {422, `"detail":"must be at least 1`},
		`{"key":"canary","factor":2,"until":"2001-01-01T00:00:00Z"}`:        {422, "must be in the future"},
		`{"key":"canary","plan":"gold","factor":2,"until":"` + until + `"}`: {422, "but not both"},
		`{"key":"canary","policy":"canary","until":"` + until + `"}`:        {422, "must be"},
		`{"plan":"canary","factor":2,"until":"` + until + `"}`:              {422, "must be the name of a plan"},
		`{"key":"192.0.2.1","factor":2,"until":"` + until + `"}`:            {400, "stands for no address: send"},
		`{"key":" 192.0.2.0/24","policy":"1/s","until":"` + until + `"}`:    {400, "stands for no address: send"},
		`{"address":"canary","factor":2,"until":"` + until + `"}`:           {400, "The address must be one of"},
		`{"address":"192.0.2.1/24","factor":2,"until":"` + until + `"}`:     {400, "The address must be one of"},
		`{"key":"a","address":"192.0.2.1"}`:                                 {400, "no key must be beside it"},
		`{"address":"2001:db8::/72","factor":2,"until":"` + until + `"}`:    {422, "of IPv6 at most a /64"},
		`{"key":"canary","factor":"2"}`:                                     {400, "must be a JSON object"},
		`{"canary":1}`:                                                      {400, "must be a JSON object"},
		`{"key":"canary"}{}`:                                                {400, "must be a JSON object"},
		``:                                                                  {400, "must be a JSON object"},
	} {
		w := d.ask(t, "POST", "/table/override", body)
		wantProblem(t, w, c.status, c.text)
		if strings.Contains(w.Body.String(), "canary") {
			t.Errorf("%s is answered with %s", body, w.Body)
		}
	}
	wantProblem(t, d.ask(t, "POST", "/table/rollback", `{"version":99}`), 404, "no longer kept")
	wantProblem(t, d.ask(t, "POST", "/table/rollback", `{"version":"1"}`), 400, "must be a JSON object")
	etag := "If-Match: " + d.ask(t, "GET", "/table", "").Header().Get("ETag")
	f.fails = &store.Error{Class: "connect"}
	wantProblem(t, d.ask(t, "PUT", "/table", tableText, etag), 503, `"class":"connect"`)
	wantProblem(t, d.ask(t, "POST", "/table/rollback", `{"version":1}`), 503, `"class":"connect"`)
	f.fails = context.DeadlineExceeded
	wantProblem(t, d.ask(t, "PUT", "/table", tableText, etag), 503, "cannot be changed now")
	f.fails = plans.ErrChanged
	wantProblem(t, d.ask(t, "PUT", "/table", tableText, etag), 412, "If-Match")
	wantProblem(t, d.ask(t, "POST", "/table/rollback", `{"version":1}`), 409, "try again")
	f.panics = true
	wantProblem(t, d.ask(t, "PUT", "/table", tableText, etag), 503, `"class":"panic"`)
	wantProblem(t, d.ask(t, "POST", "/table/rollback", `{"version":1}`), 503, `"class":"panic"`)

	alone := newDesk(t)
	wantProblem(t, alone.ask(t, "POST", "/table/rollback", `{"version":1}`), 404, "of this node alone")
	wantProblem(t, alone.ask(t, "POST", "/table/override", `{"key":"a"}`), 404, "of this node alone")
	if w := alone.ask(t, "GET", "/table/changes", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"version":1,`) {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
	if _, err := admin.New(d.limiter, operator, admin.Config{Fleet: f}); err == nil || !strings.Contains(err.Error(), "fleet.Table()") {
		t.Errorf("a fleet without a table: %v", err)
	}
}

// TestOperatorIsNamed by the program's function, if it knows the name.
func TestOperatorIsNamed(t *testing.T) {
	for _, c := range []struct {
		of   func(*http.Request) string
		want string
	}{
		{nil, "192.0.2.1"},
		{func(*http.Request) string { return "" }, "192.0.2.1"},
		{func(*http.Request) string { return "eve" }, "eve"},
		{func(*http.Request) string { panic("canary") }, "192.0.2.1"},
	} {
		d, f := newFleetDesk(t, admin.Config{Operator: c.of})
		if w := d.ask(t, "POST", "/table/rollback", `{"version":1}`); w.Code != 204 || f.Changes()[0].Who != c.want {
			t.Errorf("%d: %s, by %q; want %q", w.Code, w.Body, f.Changes()[0].Who, c.want)
		}
	}
}

// TestFleetBlocks: a block goes through the fleet, with the name of the operator, again while others
// change the table, and is lifted so.
func TestFleetBlocks(t *testing.T) {
	d, f := newFleetDesk(t, admin.Config{})
	basic := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("anna:operator"))
	for _, subject := range []string{`"key":"customer-17"`, `"key":"unknown"`, `"address":"192.0.2.9"`} {
		if w := d.ask(t, "POST", "/key/block", `{`+subject+`,"reason":"chargeback 4711"}`, basic); w.Code != 204 {
			t.Fatalf("%s: %d %s", subject, w.Code, w.Body)
		}
		if s := d.state(t, `{`+subject+`}`); s.Allowed || s.Block == nil || s.Block.Reason != "chargeback 4711" || !s.Block.Own {
			t.Errorf("%s: %+v", subject, s)
		}
		if changes := f.Changes(); changes[0].Who != "anna" || !strings.Contains(strings.Join(changes[0].What, "; "), "none -> blocked;reason=chargeback 4711") || strings.Contains(strings.Join(changes[0].What, "; "), "customer") {
			t.Errorf("%s: %+v", subject, changes[0])
		}
		if w := d.ask(t, "POST", "/key/unblock", `{`+subject+`}`, basic); w.Code != 204 {
			t.Errorf("%s: %d %s", subject, w.Code, w.Body)
		}
		if s := d.state(t, `{`+subject+`}`); !s.Allowed || s.Block != nil {
			t.Errorf("%s: %+v", subject, s)
		}
		wantProblem(t, d.ask(t, "POST", "/key/unblock", `{`+subject+`}`), 404, "no block of its own")
	}
	hash := `{"key":"` + ratelimit.HashKey("customer-17") + `"}`
	if w := d.ask(t, "POST", "/key/block", hash); w.Code != 204 || d.state(t, `{"key":"customer-17"}`).Allowed {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := d.ask(t, "POST", "/key/unblock", hash); w.Code != 204 || !d.state(t, `{"key":"customer-17"}`).Allowed {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	before := len(f.Changes())
	for _, path := range []string{"/key/block", "/key/unblock"} {
		wantProblem(t, d.ask(t, "POST", path, `{"key":"203.0.113.0/24"}`), 400, "looks like an address")
		wantProblem(t, d.ask(t, "POST", path, `{"key":"203.0.113.*"}`), 400, "looks like an address")
	}
	wantProblem(t, d.ask(t, "POST", "/key/block", `{"key":"a","reason":"é"}`), 400, "reason must be")
	f.fails = &store.Error{Class: "connect"}
	wantProblem(t, d.ask(t, "POST", "/key/block", `{"key":"a"}`), 503, `"class":"connect"`)
	f.fails = plans.ErrChanged
	wantProblem(t, d.ask(t, "POST", "/key/block", `{"key":"a"}`), 503, "cannot be changed now")
	if n := len(f.Changes()); n != before {
		t.Errorf("%d changes, want %d", n, before)
	}
}
