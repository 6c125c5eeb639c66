package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// printed returns what the program prints to stdout.
func printed(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if status := run(t.Context(), args, strings.NewReader(stdin), &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("%q: status %d\n%s", args, status, &errs)
	}
	return out.String()
}

// TestDemo also looks for the lines of the page in what is printed, in their order.
func TestDemo(t *testing.T) {
	folder := t.TempDir()
	svg, picture := filepath.Join(folder, "replay.svg"), filepath.Join(folder, "replay.png")
	got := printed(t, "", "-demo", "-svg", svg, "-png", picture)
	if held := strings.Count(got, "\nheld    "); held != 5 || strings.Contains(got, "BROKEN") {
		t.Errorf("%d lines held:\n%s", held, got)
	}
	checkSVG(t, svg)
	file, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if image, err := png.Decode(file); err != nil || image.Bounds().Dx() != 2*pictureWidth {
		t.Errorf("the picture is %v, %v", image, err)
	}
	page, err := os.ReadFile("../../docs/choosing-a-limit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(page), "```console\n$ go -C examples/replay run . -demo\n")
	block, _, ended := strings.Cut(block, "```")
	if !found || !ended {
		t.Fatal("the page does not show the demo")
	}
	rest := got
	for line := range strings.Lines(block) {
		if line == "[...]\n" || line == "\n" {
			continue
		}
		if _, after, found := strings.Cut(rest, line); found {
			rest = after
			continue
		}
		t.Errorf("the demo does not print this line of the page, or earlier: %s", line)
	}
	shown, err := os.ReadFile("../../docs/choosing-a-limit.svg")
	if err != nil {
		t.Fatal(err)
	}
	if drawn, err := os.ReadFile(svg); err != nil || !bytes.Equal(drawn, shown) {
		t.Error("docs/choosing-a-limit.svg is not what is drawn: go -C examples/replay run . -demo -svg ../../docs/choosing-a-limit.svg")
	}
}

// checkSVG parses a picture, and looks for what it has to say.
func checkSVG(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, want := range []string{">5/s<", "denies 17.31 % of requests", ">per day<", "Arial"} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("%s does not show %q", name, want)
		}
	}
}

const apiLog = `{"ts":1000.5,"who":"alice","plan":"gold","tokens":3}
{"ts":1000.5,"who":"alice","plan":"gold","tokens":4}
{"ts":1000.5,"who":"bob","tokens":1}
oops
{"ts":1000.6,"tokens":1}
`

func TestStandardInputAndSuggestion(t *testing.T) {
	file := filepath.Join(t.TempDir(), "limits.json")
	args := []string{"-key", "who", "-time", "ts", "-plan", "plan", "-cost", "tokens"}
	got := printed(t, apiLog, append(args, "-limit", "5/s", "-burst", "2/s", "-suggest", file, "-period", "1h", "-share", "100", "-")...)
	for _, want := range []string{
		"3 requests of 2 keys, from 1970-01-01 00:16:40 to 1970-01-01 00:16:40 UTC\nlines without a key, which are left out: 1\nbroken lines: 1; ",
		"standard input:4: the line is not a JSON object: aaaa\n",
		"5/s    1                33.33 %  1            50.00 %  1 of 3 within 1s from 1970-01-01 00:16:40\n",
		"\n1       2   1970-01-01 00:16:40  1970-01-01 00:16:40  gold  " + ratelimit.HashKey("alice") + "\n",
		"\ngold     1     7/m           7/m\n",
		"\ngold     1     2/s;burst=7   2/s;burst=7\n",
		"\ngold     7/h;shadow  0 of 1  0.00 %\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if strings.Contains(got, "alice") {
		t.Errorf("a key is shown:\n%s", got)
	}
	again := printed(t, apiLog, append(args[:4:4], "-cost", "tokens", "-plans", file, "-limits", file, "-")...)
	for _, want := range []string{"\n" + file + "  0                0.00 %  0            0.00 %  -\n", "\ngold     1     7/d           7/d\n"} {
		if !strings.Contains(again, want) {
			t.Errorf("%q is missing in\n%s", want, again)
		}
	}
}

// TestOutputsAreCheckedFirst: a file that cannot be written is an error before the log is read, and
// what exists stays as it is.
func TestOutputsAreCheckedFirst(t *testing.T) {
	folder := t.TempDir()
	inFolder := func(name string) string { return filepath.Join(folder, name) }
	for _, name := range []string{"limits.json", "old.svg"} {
		if err := os.WriteFile(inFolder(name), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(inFolder("folder.png"), 0o700), os.Symlink("nowhere", inFolder("link.json"))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flag, file, want string }{
		{"-suggest", "limits.json", "limits.json of -suggest exists"},
		{"-suggest", "link.json", "link.json of -suggest exists"},
		{"-suggest", "nowhere/limits.json", "nowhere/limits.json: no such file"},
		{"-svg", "nowhere/new.svg", "nowhere/new.svg: no such file"},
		{"-png", "folder.png", "folder.png is no regular file"},
	} {
		var out, errs bytes.Buffer
		unread := strings.NewReader(apiLog)
		if status := run(t.Context(), []string{"-svg", inFolder("old.svg"), c.flag, inFolder(c.file), "-"}, unread, &out, &errs); status != 1 || !strings.Contains(errs.String(), c.want) || out.Len() > 0 {
			t.Errorf("%s: status %d, want 1 and %q\n%s%s", c.file, status, c.want, &errs, &out)
		}
		if unread.Len() != len(apiLog) {
			t.Errorf("%s: the log was read first", c.file)
		}
	}
	var out, errs bytes.Buffer
	late := inFolder("late.json")
	meanwhile := io.MultiReader(strings.NewReader(apiLog), readerFunc(func([]byte) (int, error) {
		return 0, errors.Join(os.WriteFile(late, []byte("new"), 0o600), io.EOF)
	}))
	if status := run(t.Context(), []string{"-key", "who", "-time", "ts", "-suggest", late, "-"}, meanwhile, &out, &errs); status != 1 || !strings.Contains(errs.String(), "exists") {
		t.Errorf("a file that was written meanwhile: status %d, %s", status, &errs)
	}
	got := ""
	if err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		text, _ := os.ReadFile(path)
		got += filepath.Base(path) + "=" + string(text) + " "
		return err
	}); err != nil || !strings.HasSuffix(got, " folder.png= late.json=new limits.json=old link.json= old.svg=old ") {
		t.Errorf("left in the folder: %s, %v", got, err)
	}
}

// TestDamagedArchive: results are printed and written, and the status says that they are of a part.
func TestDamagedArchive(t *testing.T) {
	folder := t.TempDir()
	whole, cut, suggested := filepath.Join(folder, "access.log"), filepath.Join(folder, "access.log.1.gz"), filepath.Join(folder, "limits.json")
	made := newSynthetic()
	var plain, packed bytes.Buffer
	if err := errors.Join(made.write(&plain, made.requests[:10], 0), made.writePacked(&packed, made.requests[10:])); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(whole, plain.Bytes(), 0o600), os.WriteFile(cut, packed.Bytes()[:packed.Len()-4], 0o600)); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"-suggest", suggested, cut, whole}, nil, &out, &errs); status != 1 {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{
		"56,324 requests of 1,000 keys, ",
		"damaged archives; the lines in front of the damage count:\n    " + cut + ": behind line 56,314: unexpected EOF\n",
		suggested + " has limits that deny nothing",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &out)
		}
	}
	if want := "damaged files: 1 of 2, the first is " + cut; !strings.Contains(errs.String(), want) {
		t.Errorf("%q is missing in %s", want, &errs)
	}
	if _, err := os.Stat(suggested); err != nil {
		t.Error(err)
	}
	out.Reset()
	errs.Reset()
	if err := os.WriteFile(cut, packed.Bytes()[:7], 0o600); err != nil {
		t.Fatal(err)
	}
	if status := run(t.Context(), []string{cut}, nil, &out, &errs); status != 1 || !strings.Contains(errs.String(), cut+" is damaged") || out.Len() > 0 {
		t.Errorf("nothing can be read: status %d, %s%s", status, &out, &errs)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestBadFlagsAreNamedAndTheFixShown(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		want   []string // in what is printed
	}{
		{"", 2, []string{"name a file", "- for standard input", "-demo"}},
		{"-demo access.log", 2, []string{"-demo", "leave out"}},
		{"-demo -limit 5/s", 2, []string{"-demo", "leave out"}},
		{"-limit 5/fortnight access.log", 2, []string{"-limit", "5/s"}},
		{"-burst 5/s;burst=3 access.log", 2, []string{"-burst", "a rate alone"}},
		{"-suggest x -period 1w access.log", 2, []string{"-period", "1s, 1m, 1h or 1d"}},
		{"-suggest x -share 99.95 access.log", 2, []string{"-share", "99.9"}},
		{"-suggest x -share 0 access.log", 2, []string{"-share", "0.1 to 100"}},
		{"-share 99 access.log", 2, []string{"-share", "-suggest"}},
		{"-plan p -plans f access.log", 2, []string{"-plan", "-plans", "leave one out"}},
		{"-format xml access.log", 2, []string{`flag -format is "xml"`, `"common"`}},
		{"-limit 5/s;lockout=20/1m:10m access.log", 2, []string{"-limit", "no log can decide"}},
		{"-burst 5/s;shadow access.log", 2, []string{"-burst", "a rate alone"}},
		{"-burst 5/s;lockout=20/1m:10m access.log", 2, []string{"-burst", "a rate alone"}},
		{"-svg access.log access.log.1", 2, []string{"-svg", `"access.log"`, ".svg"}},
		{"-png a.svg access.log", 2, []string{"-png", `"a.svg"`, ".png"}},
		{"-svg a.svg -suggest a.svg access.log", 2, []string{"-suggest", "a picture"}},
		{"nowhere.log", 1, []string{"nowhere.log"}},
		{"- nowhere.log -limit 5/s .", 1, []string{"nowhere.log: no such file", "flag -limit is behind a file", ". is a directory", "access.log*"}},
		{"main.go ./main.go", 1, []string{"./main.go is there twice"}},
		{"-limits nowhere.json -", 1, []string{"nowhere.json"}},
		{"-plans main.go -", 1, []string{"main.go:"}},
		{"-", 1, []string{"replay: there are no lines: standard input is empty"}},
		{"main.go", 1, []string{"none of the", `could be read as common with the time in "time", as -format and -time say`, "main.go:1"}},
		{"-format csv -key who -cost price main.go", 1, []string{`replay: main.go: flag -key is "who"`, `flag -cost is "price"`, `flag -time is "time"`}},
		{"-key who main.go", 1, []string{`flag -key is "who"`, `"host"`, "does not begin with {", "-format"}},
		{"-h", 0, []string{"usage: replay", "-format", "-suggest"}},
	} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), strings.Fields(c.args), strings.NewReader(""), &out, &errs); status != c.status {
			t.Errorf("%s: status %d, want %d", c.args, status, c.status)
		}
		for _, want := range c.want {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", c.args, want, &errs)
			}
		}
		if out.Len() > 0 {
			t.Errorf("%s: printed to stdout:\n%s", c.args, &out)
		}
	}
}

// TestAddressesCountAsMiddlewareCountsThem: IPv6 by /64, and by the key that a limiter gets.
func TestAddressesCountAsMiddlewareCountsThem(t *testing.T) {
	line := ` - - [29/Nov/2026:00:00:00 +0000] "GET / HTTP/1.1" 200 1` + "\n"
	got := printed(t, "2001:db8::1"+line+"2001:db8::2"+line+"[2001:db8::3]:4711"+line+`"[2001:db8::4]"`+line+"192.0.2.1"+line+"192.0.2.1:4711"+line+"192.0.2.1"+line+"[192.0.2.1]"+line, "-limit", "1/s", "-")
	for _, address := range []string{"2001:db8::7", "192.0.2.1"} {
		if want := "3       4   2026-11-29 00:00:00  2026-11-29 00:00:00  -     " + ratelimit.HashKey(middleware.AddressKey(netip.MustParseAddr(address))); !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

// TestNotes: what is strange about a log is noted with the file or the flag, and the rest is read.
func TestNotes(t *testing.T) {
	folder := t.TempDir()
	limits, faulty := filepath.Join(folder, "limits.json"), filepath.Join(folder, "error.log")
	if err := errors.Join(os.WriteFile(limits, []byte(`{"default":"1/s","plans":{"gold":"2/s"},"members":{"carol":"gold"}}`), 0o600), os.WriteFile(faulty, []byte("oops\nno\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	const later = `{"ts":"9998-11-29 00:00:00","who":"alice"}` + "\n"
	for _, c := range []struct{ stdin, args, want string }{
		{apiLog, "-key who -time ts -plan tier -", `note: no key has a plan: flag -plan is "tier", and that is missing`},
		{apiLog, "-key who -time ts -plans " + limits + " -", "note: no key has a plan: none is a member of one in " + limits},
		{apiLog, "-format json -key who -time ts - " + faulty, "note: none of the 2 lines of " + faulty + " could be read, as json\n"},
		{apiLog + later, "-key who -time ts -", "note: the last request is in the future: a clock was wrong, or"},
		{apiLog + later, "-key who -time ts -plan plan -", "note: the last"},
		{apiLog, "-key who -time ts -plan plan -", ""},
	} {
		got := printed(t, c.stdin, strings.Fields(c.args)...)
		if notes := strings.Count(got, "note: "); notes > 1 || c.want == "" && notes > 0 || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q is missing, or there are other notes in\n%s", c.args, c.want, got)
		}
	}
}

// TestTimesOfSeveralZones: lines of one instant count together, in whichever zones and order they are.
func TestTimesOfSeveralZones(t *testing.T) {
	got := printed(t, `{"time":"2026-11-29T01:00:00+01:00","key":"a"}
{"time":"2026-11-28T23:59:59.5Z","key":"a"}
{"time":"29/Nov/2026:05:30:00 +0530","key":"a"}
{"time":"2026-11-28T19:00:00-05:00","key":"a"}
{"time":"2026-11-29 00:00:00","key":"a"}
`, "-")
	for _, want := range []string{"5 requests of 1 keys, from 2026-11-28 23:59:59 to 2026-11-29 00:00:00 UTC\n", "\ndefault  1     4/s           4/s\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestProgress(t *testing.T) {
	var shown bytes.Buffer
	p := &progress{ctx: t.Context(), shown: &shown}
	if _, err := io.Copy(io.Discard, p.of("access.log", strings.NewReader(strings.Repeat("x", 3e6)), 6e6)); err != nil {
		t.Fatal(err)
	}
	p.end()
	if got := shown.String(); !strings.HasPrefix(got, "\raccess.log: 0 MB of 6, 0 %") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("%q", got)
	}
	if terminal(&shown) != nil {
		t.Error("a buffer is a terminal")
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{grouped(0), "0"}, {grouped(999), "999"}, {grouped(1000), "1,000"}, {grouped(1234567), "1,234,567"},
		{share(0, 0), "0 %"}, {share(0, 3), "0.00 %"}, {share(1, 100_000), "< 0.01 %"}, {share(1, 3), "33.33 %"}, {share(99_999, 100_000), "99.99 %"},
		{span(90e9), "1m30s"}, {span(7200e9), "2h"}, {span(48 * 3600e9), "2d"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
