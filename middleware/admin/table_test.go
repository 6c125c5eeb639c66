package admin_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestTable: what is read can be put back, and shows no key.
func TestTable(t *testing.T) {
	d := newDesk(t)
	w := d.ask(t, "GET", "/table", "")
	want := `{
  "default": "5/s",
  "plans": {
    "gold": ["50/s","100000/d;name=daily"],
    "staff": "unlimited"
  },
  "members": {
    "` + ratelimit.HashKey("monitoring") + `": "staff",
    "` + ratelimit.HashKey("customer-17") + `": "gold"
  },
  "keys": {
    "` + ratelimit.HashKey("customer-19") + `": "7/s"
  }
}
`
	sum := sha256.Sum256(w.Body.Bytes())
	etag := w.Header().Get("ETag")
	if w.Code != 200 || w.Body.String() != want || etag != `"`+hex.EncodeToString(sum[:])+`"` {
		t.Fatalf("%d, %s: %s\nwant %s", w.Code, etag, w.Body, want)
	}
	if s := d.ask(t, "GET", "/table/summary", ""); strings.TrimSpace(s.Body.String()) != `{"default":"5/s","plans":{"gold":{"policy":"50/s, 100000/d;name=daily","members":1},"staff":{"policy":"unlimited","members":1}},"keys":1}` || s.Header().Get("ETag") != etag {
		t.Errorf("%s", s.Body)
	}

	changed := strings.Replace(w.Body.String(), `"50/s"`, `"60/s"`, 1)
	put := d.ask(t, "PUT", "/table", changed, `If-Match: "other", `+etag)
	sum = sha256.Sum256([]byte(changed))
	if put.Code != 204 || put.Body.Len() > 0 || put.Header().Get("ETag") != `"`+hex.EncodeToString(sum[:])+`"` {
		t.Fatalf("%d, %v: %s", put.Code, put.Header(), put.Body)
	}
	if e := d.last(); e != (admin.Event{Action: admin.ActionReplace, Status: 204, ETag: put.Header().Get("ETag")}) {
		t.Errorf("%+v", e)
	}
	for key, want := range map[string]string{"customer-17": "60/s, 100000/d;name=daily", "monitoring": "unlimited", "customer-19": "7/s", "x": "5/s"} {
		if p, err := d.table.PolicyFor(t.Context(), key); p.String() != want || err != nil {
			t.Errorf("%s: %v, %v", key, p, err)
		}
	}
}

func TestNoTable(t *testing.T) {
	d := newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{}), admin.Config{})
	wantProblem(t, d.ask(t, "GET", "/table", ""), 404, "The program has no table")
	wantProblem(t, d.ask(t, "GET", "/table/summary", ""), 404, "The program has no table")
	wantProblem(t, d.ask(t, "PUT", "/table", tableText, `If-Match: "x"`), 404, "The program has no table")
	if w := d.ask(t, "POST", "/key/state", `{"key":"k"}`); w.Code != 200 || strings.Contains(w.Body.String(), "plan") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// TestReplaceRejects: nothing is changed, every fault has its place, and nothing that was
// sent comes back: not a key, nor what is a key in the wrong place.
func TestReplaceRejects(t *testing.T) {
	d := newDesk(t)
	etag := d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
	match := "If-Match: " + etag
	hash := fmt.Sprintf("%.19s…", ratelimit.HashKey("canary"))
	for _, test := range []struct {
		status        int
		want          string
		body, headers string
	}{
		{428, "If-Match header with the ETag", tableText, ""},
		{412, "read it again", tableText, `If-Match: "canary"`},
		{412, "read it again", tableText, "If-Match: W/" + etag},
		{412, "read it again", tableText, "If-Match: *"},
		{412, "read it again", tableText, "If-Match: " + strings.Trim(etag, `"`)},
		{415, "Content-Type: application/json", tableText, match + "\nContent-Type: text/plain"},
		{415, "Content-Type: application/json", tableText, match + "\nContent-Type: "},
		{415, "uncompressed", tableText, match + "\nContent-Encoding: gzip"},
		{422, `{"place":"table, line 1, column 1","detail":"must be a value of JSON, such as`, "", match},
		{422, `{"place":"table, line 1, column 2","detail":"must be a name in double quotes`, "{canary", match},
		{422, `{"place":"table, line 1, column 18","detail":"must be one JSON document"}`, `{"default":"1/s"}canary`, match},
		{422, `{"place":"default, line 1, column 1","detail":"must be there, such as \"default\": \"5/s\""},{"place":"table, line 1, column 2","detail":"must be one of default, plans, members, keys, organisations and blocked"}`, `{"canary":1}`, match},
		{422, `{"place":"default, line 1, column 18","detail":"must not be there twice"}`, `{"default":"1/s","default":"canary"}`, match},
		{422, `[{"place":"default, line 1, column 12","detail":"must be RATE/PERIOD`, `{"default":"canary"}`, match},
		{422, `{"place":"keys[` + hash + `], line 2, column 18","detail":"must be RATE`, `{"default":"1/s",` + "\n" + `"keys":{"canary":"canary"}}`, match},
		{422, `{"place":"members[` + hash + `]","detail":"must be the name of one of TableConfig.Plans"}`, `{"default":"1/s","members":{"canary":"canary"}}`, match},
		{422, `{"place":"plans[` + hash + `], line 1, column 36","detail":"must be RATE`, `{"default":"1/s","plans":{"canary":"canary"}}`, match},
		{422, `{"place":"plans[` + hash + `].Burst, line 1, column 36","detail":"must refill`, `{"default":"1/s","plans":{"canary":"1/365d;burst=99;name=canary"}}`, match},
		{422, `{"place":"plans[\"gold\"].Name, line 1, column 34","detail":"must differ`, `{"default":"1/s","plans":{"gold":["1/s;name=canary","2/s;name=canary"]}}`, match},
		{422, `{"place":"keys[`, `{"default":"1/s","keys":{"sha256:canary":"1/s"}}`, match},
		{422, `{"place":"table, line 1, column 111"`, `{"default":` + strings.Repeat("[", 1<<20), match},
	} {
		w := d.ask(t, "PUT", "/table", test.body, strings.Split(test.headers, "\n")...)
		wantProblem(t, w, test.status, test.want)
		if strings.Contains(w.Body.String(), "canary") {
			t.Errorf("what was sent comes back: %s", w.Body)
		}
		if got := d.ask(t, "HEAD", "/table", "").Header().Get("ETag"); got != etag {
			t.Fatalf("%.100s has changed the table", test.body)
		}
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, `"k%d":"canary",`, i)
	}
	w := d.ask(t, "PUT", "/table", `{"default":"1/s","members":{`+many.String()+`"k":"canary"}}`, match)
	wantProblem(t, w, 422, `{"place":"table","detail":"981 more of its entries cannot be used"}`)
	if n := strings.Count(w.Body.String(), `"place"`); n != 21 || strings.Contains(w.Body.String(), "canary") {
		t.Errorf("%d faults: %s", n, w.Body)
	}
}

// TestReplaceRejectsImpossibleKeys: what the middleware makes another key of would have
// limits in the table and none in force.
func TestReplaceRejectsImpossibleKeys(t *testing.T) {
	d := newDesk(t)
	match := "If-Match: " + d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
	for _, key := range []string{" canary", "canary\t", strings.Repeat("canary", 50)} {
		for part, value := range map[string]string{"members": "gold", "keys": "1/s"} {
			w := d.ask(t, "PUT", "/table", fmt.Sprintf(`{"default":"1/s","plans":{"gold":"1/s"},%q:{"fine":%q,%q:%q}}`, part, value, key, value), match)
			wantProblem(t, w, 422, fmt.Sprintf(`"errors":[{"place":"%s[%.19s…]","detail":"must have no spaces around it`, part, ratelimit.HashKey(key)))
			if strings.Contains(w.Body.String(), "canary") {
				t.Errorf("what was sent comes back: %s", w.Body)
			}
		}
	}
	var many strings.Builder
	for i := range 25 {
		fmt.Fprintf(&many, `,"k%d ":"gold"`, i)
	}
	w := d.ask(t, "PUT", "/table", `{"default":"1/s","plans":{"gold":"1/s"},"members":{"a":"gold"`+many.String()+`}}`, match)
	wantProblem(t, w, 422, `{"place":"table","detail":"5 more of its entries cannot be used"}]`)
	// Nor can every address be looked up.
	for _, key := range []string{"192.0.2.1/24", "10.1.2.*", "2001:db8::/96", "ip 192.0.2.1"} {
		for part, value := range map[string]string{"members": "gold", "keys": "1/s"} {
			w := d.ask(t, "PUT", "/table", fmt.Sprintf(`{"default":"1/s","plans":{"gold":"1/s"},%q:{"fine":%q,%q:%q}}`, part, value, key, value), match)
			wantProblem(t, w, 422, fmt.Sprintf(`"errors":[{"place":"%s[%.19s…]","detail":"must be an API key, an address such as`, part, ratelimit.HashKey(key)))
		}
	}
	// An address, as AddressKey writes it, has a space, and a hash may stand for anything.
	table := fmt.Sprintf(`{"default":"1/s","keys":{%q:"2/s","in between":"3/s",%q:"4/s"}}`, " ip 192.0.2.1", ratelimit.HashKey(" canary"))
	if w := d.ask(t, "PUT", "/table", table, match); w.Code != 204 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	if w := d.ask(t, "POST", "/key/state", `{"address":"192.0.2.1"}`); !strings.Contains(w.Body.String(), `"limit":"2/s"`) {
		t.Errorf("%s", w.Body)
	}
}

// TestReplaceOneWins: of several operators that have read the same table, one replaces it.
func TestReplaceOneWins(t *testing.T) {
	d := newDesk(t)
	for range 20 {
		etag := d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
		var won, late atomic.Int64
		var winner atomic.Value
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				body := fmt.Sprintf(`{"default":"%d/s","keys":{"%s":"1/s"}}`, i+1, etag[1:9])
				switch w := d.ask(t, "PUT", "/table", body, "If-Match: "+etag); w.Code {
				case http.StatusNoContent:
					won.Add(1)
					winner.Store(w.Header().Get("ETag"))
				case http.StatusPreconditionFailed:
					late.Add(1)
				default:
					t.Errorf("status %d: %s", w.Code, w.Body)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || late.Load() != 5 {
			t.Fatalf("%d won and %d were late", won.Load(), late.Load())
		}
		if got := d.ask(t, "HEAD", "/table", "").Header().Get("ETag"); got != winner.Load() {
			t.Errorf("%s is in force, and %v won", got, winner.Load())
		}
	}
}

// TestReplaceBehindTheBack: a table that the program replaces while the body comes stays.
func TestReplaceBehindTheBack(t *testing.T) {
	d := newDesk(t)
	etag := d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
	body := readerFunc(func(b []byte) (int, error) {
		other := newTable(t, `{"default":"9/s"}`).Config()
		if err := d.table.Replace(other); err != nil {
			t.Error(err)
		}
		return copy(b, `{"default":"1/s"}`), io.EOF
	})
	w := d.askReader(t, "PUT", "/table", body, "If-Match: "+etag)
	wantProblem(t, w, 412, "read it again")
	if got := d.table.Snapshot().Default().String(); got != "9/s" {
		t.Errorf("the default is %s", got)
	}
}

// TestReplaceWhileDeciding: a decision is by one table or the other.
func TestReplaceWhileDeciding(t *testing.T) {
	d := newDesk(t)
	text := func(i int) string {
		return fmt.Sprintf(`{"default":"1/s","plans":{"p":["%d/s","%d/h;name=h"]},"members":{"k":"p"},"keys":{"other-%d":"1/s"}}`, 1000+i, 5000+i, i)
	}
	put := func(i int) {
		etag := d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
		if w := d.ask(t, "PUT", "/table", text(i), "If-Match: "+etag); w.Code != 204 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	}
	put(0)
	var done atomic.Bool
	var decisions [2]atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				r, err := d.limiter.Allow(t.Context(), "k")
				if err != nil {
					t.Error(err)
					return
				}
				limits := r.Policy().Limits()
				if len(limits) != 2 || limits[0].Rate-1000 != limits[1].Rate-5000 {
					t.Errorf("a mixture: %v", limits)
					return
				}
				decisions[limits[0].Rate%2].Add(1)
			}
		})
	}
	for i := 1; i < 300 || decisions[0].Load() == 0 || decisions[1].Load() == 0; i++ {
		if put(i % 2); t.Failed() {
			break
		}
	}
	done.Store(true)
	wg.Wait()
}
