package console_test

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/keyrate/keyrate/middleware/interop/internal/tab"
)

// TestKeyboard: every control is reached with the Tab key, and a key is looked at, reset and
// forgotten without a mouse.
func TestKeyboard(t *testing.T) {
	p := start(t)
	page := tab.Open(t, p.console(t))
	p.call(t, "alice-s3cr3t", 12)
	await(page, t, `document.querySelector("#limits tbody tr")`)
	press := func(keys string) {
		if err := chromedp.Do(page, chromedp.KeyEvent(keys)); err != nil {
			t.Fatal(err)
		}
	}
	// to presses Tab until a control has the focus.
	to := func(id string) {
		for range 40 {
			press("\t")
			if eval[string](page, t, "document.activeElement.id") == id {
				return
			}
		}
		t.Fatalf("Tab does not reach %s", id)
	}
	for _, id := range []string{"pause", "limit", "kind", "subject"} {
		to(id)
	}
	press("alice-s3cr3t\r")
	await(page, t, `document.getElementById("verdict").textContent.startsWith("denied")`)
	to("forget")
	to("reset")
	press("\r")
	await(page, t, `document.getElementById("verdict").textContent.startsWith("admitted")`)
	await(page, t, `document.getElementById("key-message").textContent.includes("filled")`) // read out, as a status
	to("pause")
	press(" ")
	await(page, t, `document.getElementById("status").textContent === "Paused"`)
	press(" ")
	await(page, t, `document.getElementById("status").textContent === "Live"`)
	to("forget")
	press("\r")
	await(page, t, `document.getElementById("found").hidden`)
}
