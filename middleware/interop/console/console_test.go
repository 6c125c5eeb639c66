package console_test

import (
	"context"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/keyrate/keyrate/middleware/interop/internal/tab"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestConsole: an operator opens the console, sees a burst turn red, looks at the key, resets it,
// and the key is served again. No key is in the page, the page asks only its own server, and it
// breaks no rule of its policy.
func TestConsole(t *testing.T) {
	p := start(t)
	page := tab.Open(t, "about:blank")
	if err := chromedp.Do(page, chromedp.Navigate(p.URL+"/limits/")); err != nil && !strings.Contains(err.Error(), "ERR_INVALID_AUTH_CREDENTIALS") {
		t.Fatal(err)
	}
	if text := eval[string](page, t, `document.documentElement?.outerHTML ?? ""`); strings.Contains(text, "EventSource") {
		t.Errorf("the console is open without a password: %s", text)
	}
	if err := chromedp.Do(page, chromedp.Navigate(p.console(t))); err != nil {
		t.Fatal(err)
	}
	seen := watch(page, t)
	if err := chromedp.Do(page, chromedp.Navigate(p.URL+"/limits/")); err != nil { // the browser knows the password now
		t.Fatal(err)
	}
	await(page, t, `document.getElementById("status").dataset.state === "live"`)

	// A burst turns red.
	if served := p.call(t, "alice-s3cr3t", 40); served != 10 {
		t.Fatalf("%d of 40 calls were served, want 10", served)
	}
	await(page, t, `document.querySelector("path[data-kind=denied]").getAttribute("d") !== ""`)
	await(page, t, `document.querySelector("#denied tbody tr")`)

	// The key.
	look(page, t, "alice-s3cr3t")
	await(page, t, `!document.getElementById("found").hidden`)
	hash := ratelimit.HashKey("alice-s3cr3t")
	if got := eval[string](page, t, `document.getElementById("hash").textContent`); got != hash {
		t.Errorf("the hash is %s, want %s", got, hash)
	}
	if got := eval[string](page, t, `document.getElementById("verdict").textContent`); !strings.HasPrefix(got, "denied, for ") {
		t.Errorf("a call now: %s", got)
	}
	await(page, t, `document.querySelector("#denied tr.same th")?.textContent === "`+hash+`"`)

	// It is served again.
	click(page, t, "#reset")
	await(page, t, `document.getElementById("verdict").textContent.startsWith("admitted")`)
	if served := p.call(t, "alice-s3cr3t", 1); served != 1 {
		t.Error("the key is denied after the reset")
	}
	await(page, t, `document.querySelector("#buckets td")?.textContent === "9 of 10"`)

	// One bucket alone, by the button in its row, with the keyboard.
	if err := chromedp.Do(page, chromedp.Focus("#buckets button"), chromedp.KeyEvent("\r")); err != nil {
		t.Fatal(err)
	}
	await(page, t, `document.querySelector("#buckets td")?.textContent === "10 of 10"`)

	// The key is blocked, with an end and a reason, and free again.
	if err := chromedp.Do(page, chromedp.SetValue("#block-for", "900"), chromedp.SendKeys("#block-reason", "chargeback 4711")); err != nil {
		t.Fatal(err)
	}
	click(page, t, "#block button[type=submit]")
	await(page, t, `/^denied: it is blocked until .* UTC, chargeback 4711$/.test(document.getElementById("verdict").textContent)`)
	if served := p.call(t, "alice-s3cr3t", 3); served != 0 {
		t.Error("the key is served although it is blocked")
	}
	await(page, t, `document.getElementById("changes").textContent.includes("blocked: 0 -> 1")`)
	click(page, t, "#unblock")
	await(page, t, `document.getElementById("verdict").textContent.startsWith("admitted")`)
	if served := p.call(t, "alice-s3cr3t", 1); served != 1 {
		t.Error("the key is denied after the block is lifted")
	}

	// Another key fills up before the operator's eyes, with the focus on its button.
	look(page, t, "ada-s3cr3t")
	await(page, t, `document.getElementById("plan").textContent.startsWith("fast")`)
	p.call(t, "ada-s3cr3t", 60)
	eval[bool](page, t, `{document.querySelector("#buckets button").focus(); true}`)
	await(page, t, `Number.parseInt(document.querySelector("#buckets td")?.textContent) < 50`)
	await(page, t, `Number.parseInt(document.querySelector("#buckets td")?.textContent) > 55`)
	await(page, t, `document.activeElement.getAttribute("aria-label") === "Reset the bucket of default"`)

	// A new table.
	if err := p.table.Replace(tableOf(t, ratelimit.PerSecond(20))); err != nil {
		t.Fatal(err)
	}
	await(page, t, `document.getElementById("changes").textContent.includes("plan fast: 10/s;burst=60 -> 20/s")`)
	await(page, t, `document.getElementById("plans").textContent.includes("20/s")`)

	// The hash of a key is no key.
	look(page, t, ratelimit.HashKey("alice-s3cr3t"))
	await(page, t, `document.getElementById("key-message").textContent.includes("hash of a key")`)
	look(page, t, "ada-s3cr3t")
	await(page, t, `document.getElementById("key-message").textContent.startsWith("Shown below")`)

	wantNoKey(page, t)
	click(page, t, "#forget")
	await(page, t, `document.getElementById("found").hidden`)
	wantNoKey(page, t)
	seen.want(t, p, "400")
}

// TestOddNames: limits, plans and organisations with the names of properties in JavaScript, or with
// what is markup elsewhere, are shown as they are.
func TestOddNames(t *testing.T) {
	p := start(t)
	odd := ratelimit.PerSecond(5).Named("constructor")
	limits, err := ratelimit.NewPolicy(odd, ratelimit.PerMinute(50).Named("__proto__"), ratelimit.AtOnce(3).Named("<b>at once</b>"))
	if err != nil {
		t.Fatal(err)
	}
	c := tableOf(t, ratelimit.PerSecond(10))
	c.Default = limits
	c.Plans["<img src=x onerror=alert(1)>"] = limits
	c.Organisations = map[string]plans.Organisation{
		"toString": {Plan: "daily", Members: []string{"one-s3cr3t"}}, "acme": {Limits: limits, Members: []string{"two-s3cr3t"}},
	}
	if err := p.table.Replace(c); err != nil {
		t.Fatal(err)
	}
	page := tab.Open(t, p.console(t))
	p.call(t, "bob", 3)
	await(page, t, `[...document.querySelectorAll("#limits tbody th")].map(e => e.textContent).join() === "<b>at once</b>,__proto__,constructor,default"`)
	await(page, t, `[...document.querySelectorAll("#limits tbody td:last-child")].every(e => e.textContent === "0")`)
	await(page, t, `document.getElementById("plans").textContent.includes("<img src=x onerror=alert(1)>") && document.images.length === 0`)
	await(page, t, `document.getElementById("plans").textContent.includes("toString (organisation)plan daily") && document.getElementById("plans").textContent.includes("acme (organisation)5/s;name=constructor")`)
	look(page, t, "two-s3cr3t")
	await(page, t, `document.getElementById("plan").textContent.includes("organisation acme") && !document.getElementById("reset-shared").hidden`)
	await(page, t, `document.getElementById("buckets").textContent.includes("as calls end")`)
	click(page, t, "#reset-shared")
	await(page, t, `document.getElementById("key-message").textContent.startsWith("What its organisation shares was filled")`)
	wantNoKey(page, t)
}

// TestLockedOutOfARoute: a bucket of a part that a key is locked out of is shown with the end, and its
// button frees the key.
func TestLockedOutOfARoute(t *testing.T) {
	p := start(t)
	export, err := p.limiter.With(ratelimit.PerHour(1).Named("GET /export").LockedOut(1, time.Minute, time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := export.Allow(t.Context(), "ada-s3cr3t"); err != nil {
			t.Fatal(err)
		}
	}
	page := tab.Open(t, p.console(t))
	look(page, t, "ada-s3cr3t")
	await(page, t, `/^denied: locked out until .* UTC$/.test(document.querySelector("#buckets tr:nth-child(2) td")?.textContent)`)
	click(page, t, "#buckets tr:nth-child(2) button")
	await(page, t, `document.querySelector("#buckets tr:nth-child(2) td")?.textContent === "1 of 1"`)
	goruntime.KeepAlive(export)
}

// wantNoKey looks for the keys of the test in the page and in what the browser keeps for it.
func wantNoKey(page context.Context, t *testing.T) {
	t.Helper()
	everything := eval[string](page, t, `document.documentElement.outerHTML + [...document.querySelectorAll("input")].map(i => i.value) + location.href + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie`)
	if strings.Contains(everything, "s3cr3t") {
		t.Error("the page has a key in it")
	}
	if !strings.Contains(everything, "sha256:") {
		t.Error("the page has no hash of a key")
	}
}

// A seen is what a page has asked for, and what it wrote to the console of the browser.
type seen struct {
	mu       sync.Mutex
	urls     []string
	messages []string
}

func watch(page context.Context, t *testing.T) *seen {
	t.Helper()
	s := new(seen)
	err := chromedp.Listen(page, func(event any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			s.urls = append(s.urls, e.Request.URL)
		case *runtime.EventExceptionThrown:
			s.messages = append(s.messages, e.ExceptionDetails.Text)
		case *log.EventEntryAdded: // such as what the policy of the page forbids
			s.messages = append(s.messages, e.Entry.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// want checks that each request of the page went to its own server, and that the browser had
// nothing to complain about, but for one kind of message.
func (s *seen) want(t *testing.T, p *program, but string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := map[string]bool{}
	for _, url := range s.urls {
		path, own := strings.CutPrefix(url, p.URL+"/limits/")
		asked[path] = true
		if !own && !strings.HasPrefix(url, "data:") || strings.Contains(url, "s3cr3t") {
			t.Errorf("the page asks %s", url)
		}
	}
	for _, path := range []string{"", "live", "key/state", "key/reset", "key/block", "key/unblock", "table/summary"} {
		if !asked[path] {
			t.Errorf("the page has not asked %q", path)
		}
	}
	for _, m := range s.messages {
		if !strings.Contains(m, but) {
			t.Errorf("the browser says: %s", m)
		}
	}
}
