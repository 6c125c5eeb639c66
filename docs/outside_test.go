package docs_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
)

// TestBlocksBuildOutsideThisModule makes a module that uses keyrate as README.md says, puts
// the Go code of all pages into it, and builds, tests and runs that. Whole programs and
// packages are taken as they are, fragments are made into functions.
//
// go mod tidy also looks at the tests of what is imported, which need modules that
// nothing in this one does: they come from the module proxy, as for every reader.
func TestBlocksBuildOutsideThisModule(t *testing.T) {
	testkit.Long(t, "needs the module proxy, and builds, tests and runs another module")
	dir := t.TempDir()
	code := sources(t)
	for folder, text := range code.programs {
		write(t, dir, folder+"/main.go", text)
	}
	for folder, files := range code.packages {
		for name, text := range files {
			write(t, dir, folder+"/"+name, text)
		}
	}
	write(t, dir, "fragments/fragments.go", functions(t, code.fragments))
	for _, command := range commands(t) {
		run(t, dir, command...)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "go", "vet", "./...")
	run(t, dir, "go", "build", "-o", "bin", "./...")
	if passed := strings.Count(run(t, dir, "go", "test", "-v", "./..."), "\n--- PASS: "); passed < code.tests {
		t.Errorf("%d tests passed in %d files", passed, code.tests)
	}
	modules := strings.Fields(run(t, dir, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./"+program))
	slices.Sort(modules)
	if want := []string{"example.com/app", "github.com/keyrate/keyrate", "golang.org/x/time"}; !slices.Equal(slices.Compact(modules), want) {
		t.Errorf("the program of README.md links %q, want %q", modules, want)
	}
	for folder, want := range code.prints {
		if got := run(t, dir, "go", "run", "./"+folder); got != want {
			t.Errorf("the program %s prints\n%sand the page says\n%s", folder, got, want)
		}
	}
	t.Run("curl", func(t *testing.T) { wantShown(t, serve(t, dir, code.programs[program])) })
}

// commands returns those of the pages, with the path of this clone. go mod init comes first, and
// go mod tidy last.
func commands(t *testing.T) [][]string {
	t.Helper()
	clone, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	var begin, all, tidy [][]string
	for _, p := range pages(t) {
		for _, b := range p.blocks() {
			if b.language != "sh" {
				continue
			}
			for command := range strings.Lines(b.text) {
				words := strings.Fields(strings.ReplaceAll(command, "../keyrate", clone))
				switch {
				case slices.Equal(words, []string{"go", "mod", "tidy"}):
					tidy = [][]string{words}
				case slices.Equal(words[:min(len(words), 3)], []string{"go", "mod", "init"}):
					begin = [][]string{words}
				default:
					all = append(all, words)
				}
			}
		}
	}
	if len(begin) == 0 || len(all) < 2 || len(tidy) == 0 {
		t.Fatalf("README.md and its pages have the commands %q, %q and %q", begin, all, tidy)
	}
	return slices.Concat(begin, all, tidy)
}

// serve runs the program of README.md on a free port, and returns its address.
func serve(t *testing.T, dir, text string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	moved := strings.ReplaceAll(text, "localhost:8080", address)
	if moved == text {
		t.Fatal("the program of README.md does not listen on localhost:8080")
	}
	write(t, dir, "moved/main.go", moved)
	run(t, dir, "go", "build", "-o", "bin", "./moved")
	command := exec.CommandContext(t.Context(), filepath.Join(dir, "bin", "moved"))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	for range 100 {
		if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
			conn.Close()
			return address
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the program of README.md does not listen on %s", address)
	return ""
}

// wantShown calls the program until it denies, and compares the first and the last response with those
// that README.md and responses.md show first.
func wantShown(t *testing.T, address string) {
	var first, last string
	for range 1000 {
		last = response(t, address)
		if first == "" {
			first = last
		}
		if strings.HasPrefix(last, "HTTP/1.1 429 ") {
			break
		}
	}
	for path, want := range map[string][]string{"README.md": {first, last}, "docs/responses.md": {last}} {
		var shown []string
		for _, b := range readPage(t, path).blocks() {
			if b.language == "console" {
				for _, part := range strings.Split(b.text, "HTTP/1.1 ")[1:] {
					part, _, _ = strings.Cut(part, "\n\n[")
					shown = append(shown, "HTTP/1.1 "+strings.TrimSuffix(part, "\n"))
				}
			}
		}
		if len(shown) < len(want) {
			t.Errorf("%s shows %d responses, want %d", path, len(shown), len(want))
			continue
		}
		for i := range want {
			if got, want := unnumbered(want[i]), unnumbered(shown[i]); got != want {
				t.Errorf("%s: response %d is\n%s\nand the page says\n%s", path, i+1, got, want)
			}
		}
	}
}

// response makes the request of README.md, and returns all of the response, as curl -i prints it.
func response(t *testing.T, address string) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nX-API-Key: alice\r\nConnection: close\r\n\r\n", address); err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	// curl keeps the connection.
	return strings.TrimSuffix(strings.Replace(strings.ReplaceAll(string(text), "\r\n", "\n"), "Connection: close\n", "", 1), "\n")
}

// unnumbered replaces the times and lengths that differ from run to run.
func unnumbered(s string) string {
	s = regexp.MustCompile(`(Date: ).*|(Content-Length: )3\d\d\b`).ReplaceAllString(s, "$1${2}N")
	return regexp.MustCompile(`(Retry-After-Ms: |retry after |retry_after_ms":)\d+`).ReplaceAllString(s, "${1}N")
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
