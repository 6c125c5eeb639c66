package console_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/keyrate/keyrate/middleware/interop/internal/tab"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
)

// A fleet is one of a single node, which keeps all versions of its table.
type fleet struct {
	*plans.Table

	mu       sync.Mutex
	versions []plans.TableConfig
	changes  []plans.Change // the newest first
	fails    error
}

func (f *fleet) Replace(_ context.Context, who string, s plans.Snapshot, c plans.TableConfig) (plans.Snapshot, error) {
	replaced, err := s.Replace(c)
	if err == nil {
		f.changed(who, replaced.Since(s)...)
	}
	return replaced, err
}

func (f *fleet) changed(who string, what ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.versions = append(f.versions, f.Config())
	f.changes = append([]plans.Change{{Version: int64(len(f.versions)), At: time.Now(), Who: who, What: what}}, f.changes...)
}

func (f *fleet) Changes() []plans.Change {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.changes)
}

func (f *fleet) RollBack(_ context.Context, who string, version int64) error {
	f.mu.Lock()
	to, err := f.versions[version-1], f.fails
	f.mu.Unlock()
	if err != nil {
		return err
	}
	if err := f.Table.Replace(to); err != nil {
		return err
	}
	f.changed(who, fmt.Sprint("rolled back to ", version))
	return nil
}

func (f *fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = err
}

func (*fleet) Override(context.Context, string, plans.Override) error     { return nil }
func (*fleet) EndOverride(_ context.Context, _, _ string, _ string) error { return nil }

// TestRollBack: an operator of a fleet puts the version before a change in force again, if that is
// confirmed; the dialog counts the changes that are undone. There is no button without a fleet, and
// none where the version before is not shown.
func TestRollBack(t *testing.T) {
	p := start(t)
	alone := tab.Open(t, p.console(t))
	if err := p.table.Replace(tableOf(t, ratelimit.PerSecond(11))); err != nil {
		t.Fatal(err)
	}
	await(alone, t, `document.querySelectorAll("#changes > li").length === 2`)
	if n := eval[int](alone, t, `document.querySelectorAll("#changes button").length`); n != 0 {
		t.Errorf("%d buttons to roll back the table of one node", n)
	}

	f := &fleet{Table: p.table}
	f.changed("anna")
	p.fleet = f
	p.Server = httptest.NewServer(p.with(t, p.table))
	t.Cleanup(p.Close)
	for _, rate := range []int{20, 30} {
		if _, err := f.Replace(t.Context(), "anna", f.Snapshot(), tableOf(t, ratelimit.PerSecond(rate))); err != nil {
			t.Fatal(err)
		}
	}
	console := tab.Open(t, p.console(t))
	seen := watch(console, t)
	answers, asked := make(chan bool, 1), make(chan string, 1)
	err := chromedp.Listen(console, func(event any) {
		if e, ok := event.(*page.EventJavascriptDialogOpening); ok {
			asked <- e.Message
			go func() {
				_, _ = chromedp.Call(console, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: <-answers})
			}()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	await(console, t, `document.querySelectorAll("#changes > li").length === 3 && document.querySelectorAll("#changes button").length === 2 && !document.querySelector("#changes > li:last-child button")`)
	rollBack := func(nth int, accept bool, want string) {
		t.Helper()
		answers <- accept
		click(console, t, fmt.Sprintf("#changes > li:nth-child(%d) button", nth))
		if got := <-asked; !strings.Contains(got, want) || !strings.Contains(got, "on all nodes") || !strings.Contains(got, "lifts no block") {
			t.Errorf("asked: %s", got)
		}
	}
	rollBack(2, false, "Roll back to version 1, ")
	rollBack(2, true, "This undoes the last 2 changes")
	await(console, t, `document.getElementById("changes-message").textContent.startsWith("Rolled back to version 1 at ")`)
	await(console, t, `document.getElementById("changes").textContent.includes("version 4, operator") && document.getElementById("changes").textContent.includes("rolled back to 1")`)
	await(console, t, `document.getElementById("plans").textContent.includes("11/s") && document.getElementById("table-message").textContent.includes("All nodes of the fleet")`)
	if n := len(f.Changes()); n != 4 {
		t.Errorf("%d changes, want 4: the dialog that was dismissed changes nothing", n)
	}
	seen.mu.Lock()
	if len(seen.messages) > 0 {
		t.Errorf("the browser says: %s", seen.messages)
	}
	seen.mu.Unlock()

	f.fail(&store.Error{Class: "connect"})
	rollBack(1, true, "This undoes the last change,")
	await(console, t, `document.getElementById("changes-message").textContent.endsWith("(connect)")`)
}
