// Package seen calls the two programs of a page, and holds the page to what their
// clients see. Nothing in its tables of headers and of calls, and no body, is written
// by hand: go test -p 1 ./*/before ./*/after -update writes it.
//
// A page, docs/coming-from/NAME.md for the programs in NAME/before and NAME/after, has
// the two programs as its first two blocks of Go, the bodies of their denials as its
// first two blocks of text, and two tables: of headers, and of calls. Every program runs
// in a testing/synctest bubble, Redis included: so each value is exact, and 200 ms are
// 200 ms on a busy machine, too.
package seen

import (
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/redis/go-redis/v9"
)

var update = flag.Bool("update", false, "write what the programs do into the pages; with -p 1, since two tests share a page")

// A Side is one of the two programs of a page.
type Side int

// The sides, in the order in which a page shows them.
const (
	Before Side = iota // with the other library
	After              // with keyrate
)

// A Program is what is checked against a page.
type Program struct {
	Side Side
	// New returns a handler in its first state.
	New func() (http.Handler, error)
	// NewOnRedis returns one that keeps its limits in the Redis that the options lead to,
	// and what closes its client, also beside an error. nil means that the page says
	// nothing of Redis. If New is nil, it stands for both.
	NewOnRedis func(*redis.Options) (http.Handler, func() error, error)
}

// Check compares the page that has the parent folder's name with the program in this
// one, or writes its part of the page anew. The program's source is main.go.
func Check(t *testing.T, p Program) {
	t.Helper()
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	parent, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	page := open(t, filepath.Join("../../../../docs/coming-from", filepath.Base(parent)+".md"))
	page.block("go", p.Side, string(source))

	admitted, denied := answers(t, p)
	page.block("text", p.Side, denied.body+"\n")
	page.headers(2*int(p.Side)+1, admitted)
	page.headers(2*int(p.Side)+2, denied)

	for _, fact := range facts {
		if fact.redis && p.NewOnRedis == nil || fact.memory && p.New == nil {
			continue
		}
		var outcome string
		synctest.Test(t, func(t *testing.T) { outcome = fact.outcome(p.start(t, fact.redis)) })
		page.fact(fact.name, 1+int(p.Side), outcome)
	}
	page.close()
}

// answers returns the first of six calls at once, and the last.
func answers(t *testing.T, p Program) (admitted, denied answer) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := p.start(t, false)
		admitted = s.do(call{key: "alice"})
		for range 4 {
			s.do(call{key: "alice"})
		}
		denied = s.do(call{key: "alice"})
	})
	if admitted.status != http.StatusOK || denied.status != http.StatusTooManyRequests {
		t.Fatalf("the first of six calls got %d, the last %d", admitted.status, denied.status)
	}
	return admitted, denied
}
