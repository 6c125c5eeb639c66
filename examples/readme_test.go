// Package examples_test holds README.md to what it says.
package examples_test

import (
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestREADMEBuildsOutsideThisModule makes a module that uses keyrate as the README
// says, puts the README's Go code into it, and builds, tests and runs that. Whole
// programs and tests are taken as they are, fragments are made into functions.
//
// go mod tidy also looks at the tests of what is imported, which need modules that
// nothing in this one does: they come from the module proxy, as for every reader.
func TestREADMEBuildsOutsideThisModule(t *testing.T) {
	testkit.Long(t, "needs the module proxy, and builds, tests and runs another module")
	dir := t.TempDir()
	clone, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	code := sortBlocks(t)
	write(t, dir, "go.mod", "module example.com/outside\n\ngo 1.26.0\n")
	for folder, program := range code.programs {
		write(t, dir, folder+"/main.go", program)
	}
	for folder, test := range code.tests {
		write(t, dir, folder+"/block_test.go", test)
	}
	write(t, dir, "fragments/fragments.go", functions(t, code.fragments))

	for _, commands := range blocks(t, "sh") {
		for command := range strings.Lines(commands) {
			words := strings.Fields(strings.ReplaceAll(command, "../keyrate", clone))
			run(t, dir, words...)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "go", "vet", "./...")
	run(t, dir, "go", "build", "-o", "bin", "./...")
	if passed := strings.Count(run(t, dir, "go", "test", "-v", "./..."), "\n--- PASS: "); passed < len(code.tests) {
		t.Errorf("%d tests passed in %d files", passed, len(code.tests))
	}
	modules := strings.Fields(run(t, dir, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./block0"))
	slices.Sort(modules)
	if want := []string{"example.com/outside", "github.com/keyrate/keyrate", "golang.org/x/time"}; !slices.Equal(slices.Compact(modules), want) {
		t.Errorf("the first program takes in %q, want %q", modules, want)
	}
	for folder, want := range code.prints {
		if got := run(t, dir, "go", "run", "./"+folder); got != want {
			t.Errorf("the program prints\n%sand the README says\n%s", got, want)
		}
	}
}

// TestREADMECode parses every block of Go and compares it with what gofmt makes of it.
func TestREADMECode(t *testing.T) {
	for _, code := range blocks(t, "go") {
		formatted, err := format.Source([]byte(code))
		if err != nil || string(formatted) != code {
			t.Errorf("gofmt would change this block: %v\n%s", err, code)
		}
	}
	code := sortBlocks(t)
	if len(code.programs) < 2 || len(code.tests) < 2 || len(code.prints) < 1 || len(code.fragments) < 5 {
		t.Errorf("found %d programs, %d of them with output, %d tests and %d fragments: the README has more",
			len(code.programs), len(code.prints), len(code.tests), len(code.fragments))
	}
}

// sorted is the README's Go code by kind. Programs, tests and what a program prints
// are kept by the folder of their block.
type sorted struct {
	programs, tests, prints map[string]string
	fragments               []string
}

func sortBlocks(t *testing.T) sorted {
	t.Helper()
	s := sorted{programs: map[string]string{}, tests: map[string]string{}, prints: map[string]string{}}
	for i, code := range blocks(t, "go") {
		folder := fmt.Sprintf("block%d", i)
		switch {
		case strings.HasPrefix(code, "package main\n"):
			s.programs[folder] = code
			if _, comment, found := strings.Cut(code, "// prints:\n"); found {
				s.prints[folder] = comments(comment)
			}
		case strings.HasPrefix(code, "package "):
			s.tests[folder] = code
		default:
			s.fragments = append(s.fragments, code)
		}
	}
	return s
}

// TestREADMEHasEveryOptionAndHeader compares the tables with the code.
func TestREADMEHasEveryOptionAndHeader(t *testing.T) {
	for _, config := range []any{middleware.Config{}, admin.Config{}, ratelimit.Config{}, ratelimit.CacheConfig{}, memstore.Config{}, redisstore.Config{}, mirror.Config{}, transport.Config{}} {
		kind := reflect.TypeOf(config)
		var fields []string
		for _, f := range reflect.VisibleFields(kind) {
			fields = append(fields, f.Name)
		}
		wantColumn(t, fmt.Sprintf("`%v`:\n\n", kind), fields)
	}
	for _, name := range middleware.Headers() {
		if !strings.Contains(strings.ToLower(readme(t)), "\n| `"+strings.ToLower(name)+"` |") {
			t.Errorf("the header %s has no row", name)
		}
	}
}

// TestREADMELimits parses the texts of the table of limits.
func TestREADMELimits(t *testing.T) {
	rows := table(t, "| text, for `ParseLimit` and flags |")
	found := 0
	for _, row := range rows {
		for _, text := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[0], -1) {
			found++
			if _, err := ratelimit.ParseLimit(text[1]); err != nil {
				t.Error(err)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d texts were found", found)
	}
	for text, want := range map[string]ratelimit.Limit{
		"5/s":               ratelimit.PerSecond(5),
		"100/1m":            ratelimit.PerMinute(100),
		"100/m":             ratelimit.PerMinute(100),
		"1000/24h;burst=50": ratelimit.PerDay(1000).WithBurst(50),
		"1000/d;name=daily": ratelimit.PerDay(1000).Named("daily"),
		"1/1.9s":            {Rate: 1, Period: 1900 * time.Millisecond},
	} {
		if got, err := ratelimit.ParseLimit(text); err != nil || got != want {
			t.Errorf("ParseLimit(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
}

// TestREADMEBucket makes the calls of the table that shows how a bucket works.
func TestREADMEBucket(t *testing.T) {
	rows := table(t, "| at | call | debt before |")
	if len(rows) < 5 {
		t.Fatalf("only %d rows were found", len(rows))
	}
	synctest.Test(t, func(t *testing.T) {
		limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for _, row := range rows {
			time.Sleep(milliseconds(t, row[0]) - time.Since(start))
			before, err := limiter.AllowN(t.Context(), "alice", 0)
			if err != nil {
				t.Fatal(err)
			}
			r, err := limiter.Allow(t.Context(), "alice")
			if err != nil {
				t.Fatal(err)
			}
			got := []string{"admitted", fmt.Sprintf("%d left", r.Remaining)}
			if !r.Allowed {
				got = []string{"refused", fmt.Sprintf("retry after %d ms", r.RetryAfter.Milliseconds())}
			}
			if before.ResetAfter != milliseconds(t, row[2]) || r.ResetAfter != milliseconds(t, row[4]) || got[0] != row[3] || got[1] != row[5] {
				t.Errorf("call %s: debt %v, %s, debt %v, %s; the README says %q", row[1], before.ResetAfter, got[0], r.ResetAfter, got[1], row)
			}
		}
	})
}

// TestREADMELinks looks for the files that are linked.
func TestREADMELinks(t *testing.T) {
	links := regexp.MustCompile(`\]\(([^)#]+)\)`).FindAllStringSubmatch(readme(t), -1)
	if len(links) == 0 {
		t.Error("no links were found")
	}
	for _, link := range links {
		if _, err := os.Stat(filepath.Join("..", link[1])); err != nil {
			t.Error(err)
		}
	}
}

// TestREADMEAnchors looks for the headings that are linked.
func TestREADMEAnchors(t *testing.T) {
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^##+ (.+)$`).FindAllStringSubmatch(readme(t), -1) {
		anchor := strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-")
		if anchors[anchor] {
			t.Errorf("the heading %q is there twice", heading[1])
		}
		anchors[anchor] = true
	}
	links := regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(readme(t), -1)
	if len(links) < 20 {
		t.Errorf("only %d links were found", len(links))
	}
	for _, link := range links {
		if !anchors[link[1]] {
			t.Errorf("no heading is #%s", link[1])
		}
	}
}

// TestREADMECommandsFindTheirExample: an example that is a module of its own does not run
// by its path from here, and one of this module does. All are named.
func TestREADMECommandsFindTheirExample(t *testing.T) {
	folders, err := filepath.Glob("*/main.go")
	if err != nil || len(folders) < 8 {
		t.Fatalf("%q, %v", folders, err)
	}
	for _, main := range folders {
		folder := filepath.Dir(main)
		right, wrong := "go run ./examples/"+folder, "go -C examples/"+folder+" run ."
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			right, wrong = wrong, right
		}
		if !strings.Contains(readme(t), right) || strings.Contains(readme(t), wrong) {
			t.Errorf("want %q and not %q", right, wrong)
		}
	}
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

// blocks returns the fenced blocks of the README in one language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	var found []string
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(readme(t), -1) {
		if m[1] == language {
			found = append(found, m[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return found
}

// table returns the rows of the table at, or behind, the first occurrence of start.
func table(t *testing.T, start string) [][]string {
	t.Helper()
	_, rest, found := strings.Cut(readme(t), start)
	if !found {
		t.Fatalf("the README has no %q", start)
	}
	rest, _, _ = strings.Cut(rest, "\n\n")
	_, rest, _ = strings.Cut(rest, "|---|")
	_, rest, _ = strings.Cut(rest, "\n")
	var rows [][]string
	for line := range strings.Lines(rest) {
		line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|")
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// wantColumn compares the first column of a table.
func wantColumn(t *testing.T, start string, want []string) {
	t.Helper()
	var got []string
	for _, row := range table(t, start) {
		got = append(got, strings.Trim(row[0], "`"))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the table of %s has the rows %q, want %q", strings.TrimSpace(start), got, want)
	}
}

func milliseconds(t *testing.T, cell string) time.Duration {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSuffix(cell, " ms"))
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n) * time.Millisecond
}

// comments returns the text of comment lines, up to the first line that is none.
func comments(code string) string {
	var text strings.Builder
	for line := range strings.Lines(code) {
		line, found := strings.CutPrefix(strings.TrimLeft(line, "\t"), "// ")
		if !found {
			break
		}
		text.WriteString(line)
	}
	return text.String()
}

// functions makes a file in which each fragment is a function, beside the names that
// the fragments take for granted.
func functions(t *testing.T, fragments []string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`package fragments

import (
	"context"
	"crypto/subtle"
	"log"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
	"github.com/redis/go-redis/v9"
)

var (
	client  redis.UniversalClient
	secret  []byte
	ctx     context.Context
	mux     *http.ServeMux
	limiter *ratelimit.Limiter
	planOf  func(context.Context, string) (*ratelimit.Policy, error)
	store   ratelimit.Store
	table   *ratelimit.Table
	limit   func(http.Handler) http.Handler
	exportHandler http.Handler

	_ = log.Fatal
	_ netip.Prefix
	_ = strings.Join
	_ atomic.Int64
	_ middleware.Config
	_ memstore.Config
	_ redisstore.Config
	_ mirror.Config
	_ = os.Getenv
	_ transport.Config
	_ time.Duration
)
`)
	for i, code := range fragments {
		fmt.Fprintf(&b, "\nfunc fragment%d() error {\n%s", i, code)
		for _, name := range declared(t, code) {
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

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a command in the outside module, with the proxy, the caches and the flags
// that the caller of this test has set.
func run(t *testing.T, dir string, words ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), words[0], words[1:]...)
	command.Dir = dir
	command.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GONOSUMDB=*", "GOWORK=off")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(words, " "), err, output)
	}
	return string(output)
}
