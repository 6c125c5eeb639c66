package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// functions makes a file in which each fragment is a function, beside the names that
// the fragments take for granted.
func functions(t *testing.T, fragments []block) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`package fragments

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/middleware/usage"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans/file"
	keyrateotel "github.com/keyrate/keyrate/ratelimit/metrics/otel"
	keyrateprometheus "github.com/keyrate/keyrate/ratelimit/metrics/prometheus"
	"github.com/keyrate/keyrate/ratelimit/plans"
	contract "github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/lease"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
	fleettable "github.com/keyrate/keyrate/store/redisstore/table"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redis/go-redis/v9"
)

var (
	answer  func(http.ResponseWriter, *http.Request) int
	client  redis.UniversalClient
	deliver func(mails int)
	secret  []byte
	ctx     context.Context
	mux     *http.ServeMux
	operator func(*http.Request) bool
	fleet   *fleettable.Table
	free, gold *ratelimit.Policy
	friday  time.Time
	limiter *ratelimit.Limiter
	mirrored *mirror.Store
	planOf  func(context.Context, string) (*ratelimit.Policy, error)
	store   contract.Store
	table   *plans.Table
	upstream *url.URL
	version int64
	work    func(context.Context) int
)
`)
	for i, fragment := range fragments {
		fmt.Fprintf(&b, "\n// Of %s.\nfunc fragment%d() error {\n%s", fragment.page, i, fragment.text)
		for _, name := range declared(t, fragment.text) {
			fmt.Fprintf(&b, "\t_ = %s\n", name)
		}
		b.WriteString("\treturn nil\n}\n")
	}
	return b.String()
}

// declared returns the variables that statements declare with :=, which a function
// must use.
func declared(t *testing.T, code string) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nfunc _() {\n"+code+"}\n", parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("%v in\n%s", err, code)
	}
	var names []string
	for _, statement := range file.Decls[0].(*ast.FuncDecl).Body.List { //nolint:errcheck // it is what was written above
		assign, ok := statement.(*ast.AssignStmt)
		if !ok || assign.Tok != token.DEFINE {
			continue
		}
		for _, left := range assign.Lhs {
			if name := left.(*ast.Ident).Name; name != "_" { //nolint:errcheck // := allows nothing else
				names = append(names, name)
			}
		}
	}
	return names
}
