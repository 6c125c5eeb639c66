package admin_test

import (
	"strings"
	"testing"
)

// TestKeyBodies: what is not a key is rejected with what would be right.
func TestKeyBodies(t *testing.T) {
	d := newDesk(t)
	const form = `The body must be a JSON object with one text`
	for body, want := range map[string]string{
		``:                               form,
		`null`:                           form,
		`"canary"`:                       form,
		`["canary"]`:                     form,
		`{}`:                             form,
		`{"key":"canary"`:                form,
		`{"key":"canary",}`:              form,
		`{"key":"canary"}{}`:             form,
		`{"key":"canary"} canary`:        form,
		`{"key":7}`:                      form,
		`{"key":null}`:                   form,
		`{"key":["canary"]}`:             form,
		`{"Key":"canary"}`:               form,
		`{"canary":"canary"}`:            form,
		`{"key":"a","key":"canary"}`:     form,
		`{"key":"a","address":"::1"}`:    form,
		`{"key":"canary","x":1}`:         form,
		`{"key":""}`:                     "The key is empty",
		`{"key":" \t "}`:                 "The key is empty",
		"{\"key\":\"canary\xff\"}":       "must be text in UTF-8",
		`{"key":"canary\ud800"}`:         "must be text in UTF-8",
		`{"address":"canary"}`:           "must be one of IPv4 or IPv6",
		`{"address":"192.0.2.1:80"}`:     "must be one of IPv4 or IPv6",
		`{"address":""}`:                 "must be one of IPv4 or IPv6",
		strings.Repeat("[", 60_000):      form,
		strings.Repeat(`{"key":`, 9_000): form,
	} {
		for _, path := range []string{"/key/state", "/key/reset", "/key/reset-shared", "/key/block", "/key/unblock"} {
			w := d.ask(t, "POST", path, body)
			wantProblem(t, w, 400, want)
			if strings.Contains(w.Body.String(), "canary") || d.last().Key != "" {
				t.Errorf("what was sent comes back: %s, %+v", w.Body, d.last())
			}
		}
	}
	// A key may be any text, NUL included, and long.
	for _, key := range []string{`\u0000`, `\n`, "é", strings.Repeat("k", 60_000), `{\"key\":1}`} {
		if w := d.ask(t, "POST", "/key/state", `{"key":"`+key+`"}`); w.Code != 200 {
			t.Errorf("%.20s: %d: %s", key, w.Code, w.Body)
		}
	}
}

// TestResetBodies: a limit has a name, and the state of a key is of all.
func TestResetBodies(t *testing.T) {
	d := newDesk(t)
	for _, body := range []string{`{"key":"a","limit":""}`, `{"key":"a","limit":7}`, `{"key":"a","limit":null}`, `{"limit":"canary"}`, `{"key":"a","limit":"b","limit":"canary"}`, `{"key":"a","address":"::1","limit":"canary"}`, `{"key":"a","Limit":"canary"}`, `{"key":"a","limit":["canary"]}`} {
		w := d.ask(t, "POST", "/key/reset", body)
		wantProblem(t, w, 400, "names one of its limits")
		if strings.Contains(w.Body.String(), "canary") {
			t.Errorf("what was sent comes back: %s", w.Body)
		}
	}
	wantProblem(t, d.ask(t, "POST", "/key/reset", `{"key":"a","limit":"x`+"\xff"+`"}`), 400, "The limit must be text in UTF-8")
	for _, path := range []string{"/key/state", "/key/reset-shared"} {
		wantProblem(t, d.ask(t, "POST", path, `{"key":"a","limit":"default"}`), 400, "one text")
	}
}
