package docs_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestREADMEIsShort: the program is on the first screen, and all of it is read in minutes.
func TestREADMEIsShort(t *testing.T) {
	p := readPage(t, "README.md")
	if lines, words := strings.Count(p.text, "\n"), len(strings.Fields(p.text)); lines > 200 || words > 1700 {
		t.Errorf("README.md has %d lines and %d words, want at most 200 and 1,700", lines, words)
	}
	before, _, _ := strings.Cut(p.text, "```go\n")
	if line := strings.Count(before, "\n") + 1; line > 25 {
		t.Errorf("the first program begins in line %d", line)
	}
}

// TestPagesStartWithCode: each page answers the question of its title, and first by code.
func TestPagesStartWithCode(t *testing.T) {
	for _, p := range pages(t) {
		if strings.HasPrefix(p.path, "docs/coming-from/") {
			continue // which compare two programs
		}
		lines := strings.SplitN(p.text, "\n", 9)
		if len(lines) < 9 || !strings.HasPrefix(lines[0], "# ") || !regexp.MustCompile("(?m)^(```|    )").MatchString(strings.Join(lines[1:8], "\n")) {
			t.Errorf("%s does not start with a title and code", p.path)
		}
	}
}

// TestEveryHeaderHasARow compares the table of headers with the code.
func TestEveryHeaderHasARow(t *testing.T) {
	var got []string
	for _, row := range readPage(t, "docs/responses.md").table(t, "| header | on |") {
		got = append(got, strings.ToLower(strings.Trim(row[0], "`")))
	}
	for _, name := range middleware.Headers() {
		if !slices.Contains(got, strings.ToLower(name)) {
			t.Errorf("the header %s has no row", name)
		}
	}
}

// TestOperatingNamesThePathsOfTheHandler compares the paths of the page with the description
// that the handler serves.
func TestOperatingNamesThePathsOfTheHandler(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "middleware/admin/openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	var description struct{ Paths map[string]any }
	if err := json.Unmarshal(text, &description); err != nil {
		t.Fatal(err)
	}
	p := readPage(t, "docs/operating.md")
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("(?:`(?:GET|PUT|POST) |/limits)(/[a-z./-]*)").FindAllStringSubmatch(p.text, -1) {
		if m[1] == "/healthz" {
			continue // which is another handler
		}
		named[m[1]] = true
		if description.Paths[m[1]] == nil {
			t.Errorf("there is no path %s", m[1])
		}
	}
	for path := range description.Paths {
		if !named[path] {
			t.Errorf("the page does not name %s", path)
		}
	}
}

// TestRightsInRedis compares the rights of the user in Redis with the documentation of the package.
func TestRightsInRedis(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "store/redisstore/doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	rights := regexp.MustCompile(`(?:\+[a-z]+ ){3,}\+[a-z]+`)
	shown, documented := rights.FindString(readPage(t, "docs/redis.md").text), rights.FindString(string(text))
	if shown == "" || shown != documented {
		t.Errorf("the page has the rights %q, the package %q", shown, documented)
	}
}

// TestFiguresOfREADME: the figures of README.md are those of the page on benchmarks.
func TestFiguresOfREADME(t *testing.T) {
	_, rest, found := strings.Cut(readPage(t, "README.md").text, "- **It is fast.**")
	paragraph, _, _ := strings.Cut(rest, "\n- **")
	figures := regexp.MustCompile(`\d[\d,.]*\d`).FindAllString(paragraph, -1)
	if !found || len(figures) < 5 {
		t.Fatalf("only the figures %q were found", figures)
	}
	text := readPage(t, "docs/benchmarks.md").text
	for _, figure := range figures {
		if !regexp.MustCompile(`\b` + figure + `\b`).MatchString(text) {
			t.Errorf("the page on benchmarks does not have %s", figure)
		}
	}
}

// TestEveryOptionIsDocumented: what a Config can set is documented where it is, and nowhere else.
func TestEveryOptionIsDocumented(t *testing.T) {
	for _, folder := range []string{"middleware", "middleware/admin", "middleware/transport", "ratelimit", "store/memstore", "store/redisstore", "store/mirror", "ratelimit/plans", "ratelimit/plans/file"} {
		fields := 0
		files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				declared, ok := n.(*ast.TypeSpec)
				if !ok || !declared.Name.IsExported() || !strings.HasSuffix(declared.Name.Name, "Config") {
					return true
				}
				options, ok := declared.Type.(*ast.StructType)
				if !ok {
					return true
				}
				for _, field := range options.Fields.List {
					if len(field.Names) != 1 || !field.Names[0].IsExported() {
						continue
					}
					fields++
					if field.Doc == nil {
						t.Errorf("%s: %s.%s has no comment", path, declared.Name, field.Names[0])
					}
				}
				return false
			})
		}
		if fields == 0 {
			t.Errorf("%s: no option was found", folder)
		}
	}
}

// TestLimits parses the texts of the table of limits.
func TestLimits(t *testing.T) {
	rows := readPage(t, "docs/limits.md").table(t, "| text, for `ParseLimit` and flags |")
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
		"10 at a time":      ratelimit.AtOnce(10),
		"1/1.9s":            {Rate: 1, Period: 1900 * time.Millisecond},
	} {
		if got, err := ratelimit.ParseLimit(text); err != nil || got != want {
			t.Errorf("ParseLimit(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
}

// TestBucket makes the calls of the table that shows how a bucket works.
func TestBucket(t *testing.T) {
	rows := readPage(t, "docs/design.md").table(t, "| at | call | debt before |")
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
			got := []string{"admitted", fmt.Sprintf("%d left", r.Remaining())}
			if !r.Allowed {
				got = []string{"denied", fmt.Sprintf("retry after %d ms", r.RetryAfter().Milliseconds())}
			}
			if before.ResetAfter() != milliseconds(t, row[2]) || r.ResetAfter() != milliseconds(t, row[4]) || got[0] != row[3] || got[1] != row[5] {
				t.Errorf("call %s: debt %v, %s, debt %v, %s; the page says %q", row[1], before.ResetAfter(), got[0], r.ResetAfter(), got[1], row)
			}
		}
	})
}

// TestChangedLimits changes limits as the table of the page does.
func TestChangedLimits(t *testing.T) {
	rows := readPage(t, "docs/plans.md").table(t, "| limit | used | changed to | left |")
	if len(rows) < 4 {
		t.Fatalf("only %d rows were found", len(rows))
	}
	synctest.Test(t, func(t *testing.T) {
		for _, row := range rows {
			store := memstore.New(memstore.Config{})
			ask := func(text, charge string) (left int) {
				limit, err := ratelimit.ParseLimit(strings.Trim(text, "`"))
				if err != nil {
					t.Fatal(err)
				}
				limiter, err := ratelimit.New(store, limit, ratelimit.Config{})
				if err != nil {
					t.Fatal(err)
				}
				n, err := strconv.Atoi(charge)
				if err != nil {
					t.Fatal(err)
				}
				r, err := limiter.AllowN(t.Context(), "alice", n)
				if err != nil || n > 0 && !r.Allowed {
					t.Fatalf("%q: %v, %v", row, r.Allowed, err)
				}
				return r.Remaining()
			}
			ask(row[0], row[1])
			changed, back := ask(row[2], "0"), ask(row[0], "0")
			if strconv.Itoa(changed) != row[3] || strconv.Itoa(back) != row[4] {
				t.Errorf("%q: %d are left, and %d after the change back", row, changed, back)
			}
		}
	})
}

// TestLinks looks for the files that are linked, and for the headings in them. The pages
// on coming from another limiter are checked beside their programs.
func TestLinks(t *testing.T) {
	all := pages(t)
	for _, name := range []string{"CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} {
		all = append(all, readPage(t, name))
	}
	links := 0
	for _, p := range all {
		for _, link := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(p.prose(), -1) {
			if strings.HasPrefix(link[1], "https://") {
				continue
			}
			links++
			file, heading, _ := strings.Cut(link[1], "#")
			target := p.path
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(p.path), file))
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: %v", p.path, err)
			} else if heading != "" && !slices.Contains(headings(t, readPage(t, target)), heading) {
				t.Errorf("%s: no heading of %s is #%s", p.path, target, heading)
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found", links)
	}
}

// TestEveryPageIsReached: README.md, or a page that it links to, leads to each page.
func TestEveryPageIsReached(t *testing.T) {
	readme := readPage(t, "README.md").text
	for _, p := range pages(t)[1:] {
		if !strings.Contains(readme, "]("+p.path+")") && !strings.HasPrefix(p.path, "docs/coming-from/") {
			t.Errorf("README.md does not link to %s", p.path)
		}
	}
}

// headings returns the anchors of a page; two headings must differ.
func headings(t *testing.T, p page) []string {
	t.Helper()
	var anchors []string
	for _, heading := range regexp.MustCompile(`(?m)^##+ (.+)$`).FindAllStringSubmatch(p.prose(), -1) {
		anchor := strings.ReplaceAll(regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-")
		if slices.Contains(anchors, anchor) {
			t.Errorf("%s: the heading %q is there twice", p.path, heading[1])
		}
		anchors = append(anchors, anchor)
	}
	return anchors
}

// TestExamplesAreListed: an example that is a module of its own does not run by its path
// from the root, and one of the root module does. All are listed.
func TestExamplesAreListed(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(root, "examples/*/main.go"))
	if err != nil || len(folders) < 8 {
		t.Fatalf("%q, %v", folders, err)
	}
	text := readPage(t, "docs/examples.md").text
	for _, main := range folders {
		folder := filepath.Base(filepath.Dir(main))
		right := "go run ./examples/" + folder
		if _, err := os.Stat(filepath.Join(filepath.Dir(main), "go.mod")); err == nil {
			right = "go -C examples/" + folder + " run ."
		}
		if !strings.Contains(text, "`"+right) || !strings.Contains(text, "](../examples/"+folder+")") {
			t.Errorf("want %q, and a link", right)
		}
	}
}

// TestCommandsFindTheirFolders: what a page says to run is there, and in the module from which it is run.
func TestCommandsFindTheirFolders(t *testing.T) {
	commands := 0
	for _, p := range append(pages(t), readPage(t, "CONTRIBUTING.md")) {
		for _, m := range regexp.MustCompile(`\bgo run \./(\S+?)[\s`+"`"+`]|\bgo -C (\S+) `).FindAllStringSubmatch(p.text, -1) {
			commands++
			folder, nested := m[1], false
			if folder == "" {
				folder, nested = m[2], true
			}
			_, err := os.Stat(filepath.Join(root, folder, "go.mod"))
			if info, missing := os.Stat(filepath.Join(root, folder)); missing != nil || !info.IsDir() || (err == nil) != nested {
				t.Errorf("%s: %q does not run: %v", p.path, m[0], missing)
			}
		}
	}
	if commands < 15 {
		t.Errorf("only %d commands were found", commands)
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
