// Package openapi_test checks the handler of middleware/admin against its OpenAPI
// description, and the description against the handler, with a validator that others
// wrote, github.com/pb33f/libopenapi-validator.
package openapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// A rig is a handler and its description.
type rig struct {
	handler     http.Handler
	limiter     *ratelimit.Limiter
	part        *ratelimit.Limiter // of the limiter, and in use as long as this is
	description []byte
	check       validator.Validator
}

const table = `{"default":"5/s;shadow","plans":{"gold":["50/d","100/h;name=hourly;shadow"],"staff":"unlimited"},"members":{"alice":"gold","ops":"staff"},"keys":{"bob":"7/s"},` +
	`"organisations":{"acme":{"plan":"gold","members":["carol"],"keys":{"dave":["9/s","99/h;name=org;shared"]}},"initech":{"limits":"3/s;shared","members":["erin"]}},"blocked":{"frank":"blocked;until=2999-01-01;reason=chargeback","198.51.100.0/24":"blocked"}}`

// newRig returns a handler on a store. If text is empty it has no table, and counts nothing.
func newRig(t *testing.T, backend store.Store, text string) *rig {
	t.Helper()
	return newRigOf(t, backend, text, false, func(*admin.Config) {})
}

// newFleetRig returns a handler of a fleet that fails, if fails is not nil.
func newFleetRig(t *testing.T, fails error) *rig {
	t.Helper()
	return newRigOf(t, memstore.New(memstore.Config{}), table, false, func(c *admin.Config) { c.Fleet = fleet{c.Table, fails} })
}

// newRigOf is newRig with limits that look no key up in the table, or with the table.
func newRigOf(t *testing.T, backend store.Store, text string, elsewhere bool, configure func(*admin.Config)) *rig {
	t.Helper()
	limits, config := ratelimit.Limits(ratelimit.PerSecond(5)), admin.Config{}
	if text != "" {
		c, err := plans.ReadTableConfig(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if config.Table, err = plans.NewTable(c); err != nil {
			t.Fatal(err)
		}
		if limits = config.Table; elsewhere {
			limits = ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return ratelimit.Unlimited, nil })
		}
	}
	configure(&config)
	limiter, err := ratelimit.New(backend, limits, ratelimit.Config{Metrics: text != ""})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{limiter: limiter}
	if r.part, err = limiter.With(ratelimit.PerDay(2).Named("GET /export").LockedOut(1, time.Minute, time.Hour), ratelimit.PerDay(1).Named("GET /export#watched").Shadowed()); err != nil {
		t.Fatal(err)
	}
	r.handler, err = admin.New(limiter, func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer operator" }, config)
	if err != nil {
		t.Fatal(err)
	}
	r.description = r.ask(t, call{op: "GET /openapi.json"}).Body.Bytes()
	document, err := libopenapi.NewDocument(r.description)
	if err != nil {
		t.Fatal(err)
	}
	var faults []error
	if r.check, faults = validator.NewValidator(document); len(faults) > 0 {
		t.Fatal(faults)
	}
	if ok, faults := r.check.ValidateDocument(); !ok {
		for _, f := range faults {
			t.Errorf("the description is no OpenAPI 3.1: %v %v", f, f.SchemaValidationErrors)
		}
	}
	return r
}

// A call is a request. Its zero value has no body and the operator's credential.
type call struct {
	op      string // method and path
	body    string
	headers []string // "Name: value"; without a value, it is removed
	read    error    // how the body ends, if not well
	size    int64    // what the body says it is, if not what it is
	gone    bool     // its client has disconnected: it gets one event of a stream
}

func (c call) request(ctx context.Context) *http.Request {
	method, path, _ := strings.Cut(c.op, " ")
	var body io.Reader = strings.NewReader(c.body)
	if c.read != nil {
		body = io.MultiReader(body, failing{c.read})
	}
	if c.gone {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		cancel()
	}
	r := httptest.NewRequestWithContext(ctx, method, path, body)
	if c.size != 0 {
		r.ContentLength = c.size
	}
	r.Header.Set("Authorization", "Bearer operator")
	if method != http.MethodGet {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, header := range c.headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}

func (r *rig) ask(t *testing.T, c call) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, c.request(t.Context()))
	return w
}

// failing is a body whose reads fail.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// down is a store that has failed.
type down struct{}

func (down) Take(context.Context, store.Request) (store.Decision, error) {
	return store.Decision{}, errors.New("down")
}
func (down) Reset(context.Context, store.Request) error { return errors.New("down") }

// cases returns calls for each status of each operation.
func cases(etag string) map[string][]call {
	match := "If-Match: " + etag
	all := map[string][]call{
		"GET /table 200":           {{}},
		"PUT /table 412":           {{body: table, headers: []string{`If-Match: "x"`}}},
		"PUT /table 428":           {{body: table}},
		"PUT /table 400":           {{body: `{`, read: io.ErrClosedPipe, headers: []string{match}}},
		"PUT /table 408":           {{body: `{`, read: os.ErrDeadlineExceeded, headers: []string{match}}},
		"PUT /table 413":           {{size: admin.MaxTableBody + 1, headers: []string{match}}},
		"PUT /table 415":           {{body: table, headers: []string{match, "Content-Type: text/plain"}}},
		"PUT /table 422":           {{body: `{`, headers: []string{match}}, {body: `{"default":"x","keys":{"a":"b","c":1}}`, headers: []string{match}}, {body: manyFaults(), headers: []string{match}}},
		"GET /table/summary 200":   {{}},
		"GET /shadow 200":          {{}},
		"GET /denied 200":          {{}},
		"GET /denied 404 no table": {{}}, // nor metrics
		"GET /openapi.json 200":    {{}},
		"GET / 200":                {{}},
		"GET /live 200":            {{gone: true}},
		"GET /live 503 busy":       {{}},
		"POST /key/state 200":      {},
		"POST /key/reset 204":      {},

		"POST /key/reset-shared 204": {},
		"PUT /table 204":             {{body: table, headers: []string{match}}},
		"PUT /table 401":             {{headers: []string{"Authorization: "}}},
		"PUT /table 403":             {{headers: []string{"Authorization: Bearer stranger"}}, {headers: []string{"Sec-Fetch-Site: cross-site"}}},
		"PUT /table 404 no table":    {{body: table, headers: []string{match}}},
	}
	for _, get := range []string{"/table", "/table/summary", "/table/changes", "/shadow", "/denied", "/openapi.json", "/", "/live"} {
		all["GET "+get+" 401"] = []call{{headers: []string{"Authorization: "}}}
		all["GET "+get+" 403"] = []call{{headers: []string{"Authorization: Bearer stranger"}}}
		if get == "/live" {
			all["GET /live 403"] = append(all["GET /live 403"], call{headers: []string{"Sec-Fetch-Site: cross-site"}})
		}
		if strings.HasPrefix(get, "/table") {
			all["GET "+get+" 404 no table"] = []call{{}}
		}
	}
	for _, body := range []string{`{"key":"alice"}`, `{"key":"ops"}`, `{"key":"bob"}`, `{"key":"carol"}`, `{"key":"dave"}`, `{"key":"eve"}`, `{"key":"frank"}`, `{"key":"gus"}`, `{"address":"198.51.100.7"}`, `{"address":"2001:db8::1"}`} {
		all["POST /key/state 200"] = append(all["POST /key/state 200"], call{body: body})
		all["POST /key/reset 204"] = append(all["POST /key/reset 204"], call{body: body})
		all["POST /key/reset-shared 204"] = append(all["POST /key/reset-shared 204"], call{body: body})
	}
	for _, body := range []string{`{"key":"dave","limit":"org"}`, `{"key":"eve","limit":"default"}`, `{"limit":"GET /export","key":"alice"}`, `{"address":"192.0.2.1","limit":"GET /export"}`, `{"key":"ops","limit":"default"}`} {
		all["POST /key/reset 204"] = append(all["POST /key/reset 204"], call{body: body})
	}
	all["POST /key/reset 404"] = []call{{body: `{"key":"eve","limit":"none"}`}, {body: `{"address":"192.0.2.1","limit":"hourly"}`}}
	for _, body := range []string{`{"key":"eve"}`, `{"key":"sha256:` + strings.Repeat("0", 64) + `"}`, `{"address":"192.0.2.0/24"}`} {
		all["POST /key/block 204"] = append(all["POST /key/block 204"], call{body: body})
		all["POST /key/unblock 204"] = append(all["POST /key/unblock 204"], call{body: body})
	}
	all["POST /key/block 204"] = append(all["POST /key/block 204"], call{body: `{"key":"eve","until":"2999-12-04T18:00:00Z","reason":"chargeback 4711"}`})
	all["POST /key/block 404 no table"] = []call{{body: `{"key":"eve"}`}}
	all["POST /key/block 409 elsewhere"] = []call{{body: `{"key":"eve"}`}}
	all["POST /key/unblock 404"] = []call{{body: `{"key":"eve"}`}}
	all["POST /key/unblock 404 no table"] = []call{{body: `{"key":"eve"}`}}
	for _, post := range []string{"POST /key/state", "POST /key/reset", "POST /key/reset-shared", "POST /key/block", "POST /key/unblock"} {
		all[post+" 400"] = []call{{body: `{"key":""}`}, {}, {body: `{`, read: io.ErrClosedPipe}}
		all[post+" 401"] = []call{{body: `{"key":"a"}`, headers: []string{"Authorization: "}}}
		all[post+" 403"] = []call{{body: `{"key":"a"}`, headers: []string{"Authorization: Bearer stranger"}}, {headers: []string{"Origin: https://evil.example"}}}
		all[post+" 408"] = []call{{read: os.ErrDeadlineExceeded}}
		all[post+" 413"] = []call{{body: strings.Repeat(" ", admin.MaxKeyBody+1)}, {size: admin.MaxKeyBody + 1}}
		all[post+" 415"] = []call{{body: `{"key":"a"}`, headers: []string{"Content-Type: "}}}
		if !strings.HasSuffix(post, "block") { // which ask no store
			all[post+" 503 down"] = []call{{body: `{"key":"dave"}`}}
		}
	}
	fleetCases(all, match)
	return all
}

func manyFaults() string {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, `,"k%d":"none"`, i)
	}
	return `{"default":"1/s","members":{` + b.String()[1:] + `}}`
}

// TestDescription makes every call, and checks the answers and the valid requests against
// the description. Every operation and status of the description must occur.
func TestDescription(t *testing.T) {
	main := newRig(t, memstore.New(memstore.Config{}), table)
	rigs := map[string]*rig{"": main, "no table": newRig(t, memstore.New(memstore.Config{}), ""), "down": newRig(t, down{}, table), "busy": newRig(t, memstore.New(memstore.Config{}), table),
		"elsewhere": newRigOf(t, memstore.New(memstore.Config{}), table, true, func(*admin.Config) {}),
		"fleet":     newFleetRig(t, nil), "lost": newFleetRig(t, &store.Error{Class: "lost"}), "raced": newFleetRig(t, plans.ErrChanged)}
	defer rigs["busy"].keepBusy(t)()
	for range 6 { // one of them denied, for the report and the states
		_, _ = main.limiter.Allow(t.Context(), "eve")
	}
	for range 200 { // denied, so that nothing is known of the shadow limit
		_, _ = main.limiter.Allow(t.Context(), "alice")
	}
	_, _ = main.limiter.AllowN(t.Context(), "eve", 6) // what never fits
	if w := main.ask(t, call{op: "POST /key/state", body: `{"key":"alice"}`}); !strings.Contains(w.Body.String(), `;shadow","shadow":true}`) {
		t.Errorf("something is known of each limit, so not both forms are seen: %s", w.Body)
	}
	for range 3 { // until it is locked out
		_, _ = main.part.Allow(t.Context(), "gus")
	}
	if w := main.ask(t, call{op: "POST /key/state", body: `{"key":"gus"}`}); !strings.Contains(w.Body.String(), `"shadow":false,"block":{"until":`) {
		t.Errorf("the key is not locked out of a part: %s", w.Body)
	}
	etag := main.ask(t, call{op: "GET /table"}).Header().Get("ETag")
	all := cases(etag)
	seen := map[string]bool{}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { // the reset, and the new table, last
		return strings.Compare(fmt.Sprint(changes(a), a), fmt.Sprint(changes(b), b))
	})
	for _, name := range names {
		parts := strings.SplitN(name, " ", 4)
		op, status := parts[0]+" "+parts[1], parts[2]
		r := rigs[strings.Join(parts[3:], "")]
		for i, c := range all[name] {
			c.op = op
			w := r.ask(t, c)
			if fmt.Sprint(w.Code) != status {
				t.Errorf("%s, call %d: status %d: %s", name, i, w.Code, w.Body)
				continue
			}
			seen[op+" "+status] = true
			if op == "GET /" { // a path that the validator does not find
				wantHeaders(t, r, op, w)
				continue
			}
			if w.Code < 300 {
				if ok, faults := r.check.ValidateHttpRequestSync(c.request(t.Context())); !ok {
					for _, f := range faults {
						t.Errorf("%s: the request %s is not as described: %v %v", name, c.body, f, f.SchemaValidationErrors)
					}
				}
			}
			if ok, faults := r.check.ValidateHttpResponse(c.request(t.Context()), w.Result()); !ok {
				for _, f := range faults {
					t.Errorf("%s: the answer %s is not as described: %v %v", name, w.Body, f, f.SchemaValidationErrors)
				}
			}
			wantHeaders(t, r, op, w)
		}
	}
	if w := main.ask(t, call{op: "POST /key/state", body: `{"key":"bob"}`}); !strings.Contains(w.Body.String(), `"limit":"7/s"`) {
		t.Errorf("after all of this, the table is not the one that was put: %s", w.Body)
	}
	described := statuses(t, main.description)
	for _, s := range described {
		if !seen[s] {
			t.Errorf("%s is described and was not seen", s)
		}
		delete(seen, s)
	}
	for s := range seen {
		t.Errorf("%s was seen and is not described", s)
	}
	if len(described) < 34 {
		t.Errorf("only %d operations and statuses are described", len(described))
	}
}

// changes reports whether a case changes something that the others depend on.
func changes(name string) bool { return strings.HasSuffix(name, " 204") }

// A document is the part of the description that is read here, without the validator.
type document struct {
	Paths map[string]map[string]struct {
		Responses map[string]response
	}
	Components struct{ Responses map[string]response }
}

type response struct {
	Ref     string `json:"$ref"`
	Headers map[string]struct{ Required bool }
	Content map[string]any
}

func read(t *testing.T, description []byte) (d document) {
	t.Helper()
	if err := json.Unmarshal(description, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// statuses lists what is described, as "GET /table 200".
func statuses(t *testing.T, description []byte) (all []string) {
	t.Helper()
	for path, methods := range read(t, description).Paths {
		for method, operation := range methods {
			for status := range operation.Responses {
				all = append(all, strings.ToUpper(method)+" "+path+" "+status)
			}
		}
	}
	return all
}

// wantHeaders compares the described headers, which the validator ignores, and the type
// of an answer without a body.
func wantHeaders(t *testing.T, r *rig, op string, w *httptest.ResponseRecorder) {
	t.Helper()
	d := read(t, r.description)
	method, path, _ := strings.Cut(op, " ")
	is := d.Paths[path][strings.ToLower(method)].Responses[fmt.Sprint(w.Code)]
	if name, ok := strings.CutPrefix(is.Ref, "#/components/responses/"); ok {
		is = d.Components.Responses[name]
	}
	for _, name := range []string{"ETag", "Retry-After"} {
		if got := w.Header().Get(name) != ""; got != is.Headers[name].Required {
			t.Errorf("%s %d: %s is there: %v; it is described: %v", op, w.Code, name, got, !got)
		}
	}
	mediaType, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	if _, ok := is.Content[mediaType]; ok != (w.Body.Len() > 0) {
		t.Errorf("%s %d: %q is described: %v, and %d bytes came", op, w.Code, w.Header().Get("Content-Type"), ok, w.Body.Len())
	}
}

// TestWhatIsNotDescribed: other methods and paths get a problem, as the description says.
func TestWhatIsNotDescribed(t *testing.T) {
	r := newRig(t, memstore.New(memstore.Config{}), table)
	d := read(t, r.description)
	for path, methods := range d.Paths {
		for _, method := range []string{"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
			_, described := methods[strings.ToLower(method)]
			if w := r.ask(t, call{op: method + " " + path, gone: true}); (w.Code == http.StatusMethodNotAllowed) == described {
				t.Errorf("%s %s: status %d; described: %v", method, path, w.Code, described)
			} else if !described && w.Header().Get("Allow") == "" {
				t.Errorf("%s %s: no Allow", method, path)
			}
		}
	}
	if w := r.ask(t, call{op: "GET /nothing"}); w.Code != http.StatusNotFound || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// TestControl: the validator finds what is not as described.
func TestControl(t *testing.T) {
	r := newRig(t, memstore.New(memstore.Config{}), table)
	good := r.ask(t, call{op: "GET /shadow"}).Body.String()
	for name, c := range map[string]struct {
		op, body string
		status   int
	}{
		"a field too many":      {"GET /shadow", strings.Replace(good, "{", `{"x":1,`, 1), 200},
		"a field too few":       {"GET /shadow", strings.Replace(good, `"decisions"`, `"x"`, 1), 200},
		"a key in the table":    {"GET /table", table, 200},
		"a key of a group":      {"GET /table", `{"default":"1/s","organisations":{"x":{"limits":"1/s","members":["key"]}}}`, 200},
		"an own key of a group": {"GET /table", `{"default":"1/s","organisations":{"x":{"limits":"1/s","keys":{"key":"1/s"}}}}`, 200},
		"another status inside": {"GET /shadow", `{"type":"about:blank","title":"x","status":404,"detail":"x"}`, 403},
		"half a bucket":         {"POST /key/state", `{"key":"sha256:` + strings.Repeat("0", 64) + `","exempt":false,"allowed":true,"would_deny":false,"retry_after_ms":0,"source":"store","limits":[{"name":"n","limit":"5/s","shadow":false,"remaining":1}]}`, 200},
		"a block and a bucket":  {"POST /key/state", `{"key":"sha256:` + strings.Repeat("0", 64) + `","exempt":false,"allowed":true,"would_deny":false,"retry_after_ms":0,"source":"store","limits":[],"parts":[{"name":"n","limit":"5/s","shadow":false,"remaining":1,"block":{"own":false}}]}`, 200},
		"no class":              {"POST /key/state", `{"type":"about:blank","title":"x","status":503,"detail":"x"}`, 503},
		"another status":        {"GET /shadow", `{}`, 500},
	} {
		response := &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(c.body))}
		if c.status >= 400 {
			response.Header.Set("Content-Type", "application/problem+json")
		}
		if ok, _ := r.check.ValidateHttpResponse(call{op: c.op}.request(t.Context()), response); ok {
			t.Errorf("%s passes", name)
		}
		_ = response.Body.Close()
	}
	for name, c := range map[string]call{
		"neither key nor address": {op: "POST /key/state", body: `{}`},
		"both":                    {op: "POST /key/state", body: `{"key":"a","address":"::1"}`},
		"no If-Match":             {op: "PUT /table", body: table},
		"no default":              {op: "PUT /table", body: `{}`, headers: []string{`If-Match: "x"`}},
		"plan and limits":         {op: "PUT /table", body: `{"default":"1/s","organisations":{"x":{"plan":"gold","limits":"1/s"}}}`, headers: []string{`If-Match: "x"`}},
		"neither":                 {op: "PUT /table", body: `{"default":"1/s","organisations":{"x":{"members":["a"]}}}`, headers: []string{`If-Match: "x"`}},
		"a name with a comma":     {op: "PUT /table", body: `{"default":"1/s","organisations":{"x,y":{"plan":"gold"}}}`, headers: []string{`If-Match: "x"`}},
		"a number":                {op: "PUT /table", body: `{"default":5}`, headers: []string{`If-Match: "x"`}},
	} {
		if ok, _ := r.check.ValidateHttpRequestSync(c.request(t.Context())); ok {
			t.Errorf("%s passes", name)
		}
	}
	if !bytes.Contains(r.description, []byte(`"openapi": "3.1.0"`)) {
		t.Error("the description is of another version")
	}
}
