package replay_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
	"unicode/utf16"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

// TestFormats reads one request of "alice" in each way to write it.
func TestFormats(t *testing.T) {
	second := time.Date(2000, 10, 10, 20, 55, 36, 0, time.UTC)
	milli := second.Add(250 * time.Millisecond)
	for _, c := range []struct {
		name   string
		config replay.Config
		file   string
		want   time.Time
	}{
		{"common", replay.Config{}, `alice - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326`, second},
		{"combined, by user", replay.Config{Key: "user"}, `192.0.2.1 - alice [10/Oct/2000:20:55:36 +0000] "GET / HTTP/1.0" 200 2326 "-" "a \"quoted\" agent"`, second},
		{"more fields", replay.Config{Key: "10", Time: "11"}, `192.0.2.1 - - [-] "GET / HTTP/1.0" 200 2326 "-" "a\\" "alice" 971211336.250`, milli},
		{"a request with an escaped quote", replay.Config{Key: "referer"}, `1 - - [10/Oct/2000:13:55:36 -0700] "GET /\"] HTTP/1.0" 200 - "alice" "-"`, second},
		{"spaces", replay.Config{Key: "3"}, `192.0.2.1  -  alice [10/Oct/2000:13:55:36 -0700]`, second},
		{"the end of the line is missing", replay.Config{Format: replay.Common}, `alice - - [10/Oct/2000:13:55:36 -0700] "GET /`, second},
		{"json", replay.Config{}, `{"time":"2000-10-10T13:55:36-07:00","key":"alice"}`, second},
		{"common, an address with a port", replay.Config{BucketKey: func(text string) string { return strings.NewReplacer("[2001:db8::1]:443", "alice").Replace(text) }}, `[2001:db8::1]:443 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326`, second},
		{"common, an address in brackets", replay.Config{BucketKey: func(text string) string { return strings.NewReplacer("2001:db8::1", "alice").Replace(text) }}, `[2001:db8::1] - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326`, second},
		{"common, a colon behind the time", replay.Config{}, `alice - - [10/Oct/2000:13:55:36 -0700]: "GET / HTTP/1.0"`, second},
		{"json behind spaces", replay.Config{}, "\t {\"time\":971211336,\"key\":\"alice\"}", second},
		{"json, names", replay.Config{Key: "request.headers.X-Api-Key", Time: "ts"}, `{"ts":971211336.25,"request":{"headers":{"X-Api-Key":["alice"]}}}`, milli},
		{"json, a name with dots", replay.Config{Key: "a.b"}, `{"a":{"b":"bob"},"a.b":"\u0061lice","time":971211336250}`, milli},
		{"json, the last of two", replay.Config{Format: replay.JSON}, ` {"key":"bob","key":"alice","time":971211336250000}`, milli},
		{"csv", replay.Config{Format: replay.CSV}, "\ufefftime,key\n2000-10-10 20:55:36.25,alice\n", milli},
		{"csv, quotes", replay.Config{Format: replay.CSV, Key: "the \"key\"", Time: "the time"}, "\"the time\",\"the \"\"key\"\"\"\r\n\"2000-10-10T20:55:36Z\",\"alice\"\r\n", second},
		{"common, an empty field before", replay.Config{Key: "agent"}, `1 - - [10/Oct/2000:13:55:36 -0700] "" 200 - "" "alice"`, second},
		{"csv, a cost in front", replay.Config{Format: replay.CSV, Cost: "cost"}, "cost,key,time\n7,alice,971211336\n", second},
		{"csv without heading", replay.Config{Format: replay.CSV, Key: "2", Time: "1"}, "971211336250000000,alice", milli},
	} {
		log := read(t, c.config, c.file)
		s := log.Summary()
		if s.Lines != 1 || s.Requests != 1 || s.Keys != 1 || s.BrokenLines != 0 || !s.First.Equal(c.want) || !s.Last.Equal(c.want) {
			t.Errorf("%s: %+v, want one request at %v", c.name, s, c.want)
		}
		if key := keyOf(t, log); key != ratelimit.HashKey("alice") {
			t.Errorf("%s: the key is another", c.name)
		}
		cost := 1
		if c.config.Cost != "" {
			cost = 7
		}
		if demands, err := log.Rates(time.Second); err != nil || demands[0].Denied(cost) != 0 || demands[0].Denied(cost-1) != 1 {
			t.Errorf("%s: the cost is not %d: %v, %v", c.name, cost, demands, err)
		}
	}
}

// TestByteOrderMark: the mark in front of a file is no part of its first line, nor is that of a file in
// an archive or of one that was put behind another.
func TestByteOrderMark(t *testing.T) {
	const mark = "\ufeff"
	for _, c := range []struct {
		config   replay.Config
		heading  string
		line     string
		headings int64 // that are broken lines behind the first file
	}{
		{replay.Config{}, "", "alice - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 2326\n", 0},
		{replay.Config{}, "", `{"time":971211336,"key":"alice"}` + "\n", 0},
		{replay.Config{Format: replay.CSV}, "key,time\n", "alice,971211336\n", 1},
		{replay.Config{Format: replay.CSV, Key: "1", Time: "2"}, "", "alice,971211336\n", 0},
	} {
		file := mark + c.heading + c.line + c.line
		log := read(t, c.config, file, packed(t, file), packed(t, file)+packed(t, file), mark, mark+"\n")
		if s := log.Summary(); s.Requests != 8 || s.BrokenLines != c.headings || keyOf(t, log) != ratelimit.HashKey("alice") {
			t.Errorf("%+v: %+v", c.config, s)
		}
	}
}

// packed returns a file as gzip packs it.
func packed(t *testing.T, file string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, file); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFilesThatAreNoLog: the error names the file, what it is and how to make a log of it.
func TestFilesThatAreNoLog(t *testing.T) {
	inUTF16 := func(order binary.AppendByteOrder, text string) string {
		var b []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, unit)
		}
		return string(b)
	}
	line := common("192.0.2.1", day)
	for _, c := range []struct{ name, file, want string }{
		{"UTF-16", inUTF16(binary.LittleEndian, "\ufeff"+line), "iconv -f UTF-16 -t UTF-8"},
		{"UTF-16", inUTF16(binary.BigEndian, "\ufeff"+line), "iconv"},
		{"UTF-16 without a mark", inUTF16(binary.LittleEndian, line), "iconv"},
		{"UTF-16 without a mark", inUTF16(binary.BigEndian, line), "iconv"},
		{"packed UTF-16", packed(t, inUTF16(binary.LittleEndian, line)), "iconv"},
		{"bzip2", "BZh91AY&SY\x00", "bzip2 -dc"},
		{"xz", "\xfd7zXZ\x00\x00", "xz -dc"},
		{"zstd", "\x28\xb5\x2f\xfd\x00", "zstd -dc"},
		{"zip", "PK\x03\x04\x14", "the files in it"},
	} {
		r, err := replay.NewReader(replay.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Add("access.log", strings.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), "access.log: is ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	for _, file := range []string{"\x00\x00\x00\x00" + line, "\x00a", "a\x00b\x01", "PK", ""} { // as copytruncate of logrotate leaves some
		if log := read(t, replay.Config{}, line, file+"\n"+line); log.Summary().Requests < 2 {
			t.Errorf("%.10q: %+v", file, log.Summary())
		}
	}
}

// keyOf returns the hash of the only key of a log, which no limit could deny otherwise.
func keyOf(t *testing.T, log *replay.Log) (hash string) {
	t.Helper()
	_, err := log.Replay(t.Context(), ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		hash = ratelimit.HashKey(key)
		return ratelimit.Unlimited, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// TestBrokenLines: each is counted and described, and the others are read.
func TestBrokenLines(t *testing.T) {
	good := common("192.0.2.1", day)
	for _, c := range []struct {
		config replay.Config
		line   string
		want   string // "" for a line that is good, but has no key
	}{
		{replay.Config{}, "192.0.2.1 - - [29/Nov/2026:00:00:00 +0000", "quote"},
		{replay.Config{}, "192.0.2.1 - -", "no field for the time"},
		{replay.Config{}, "192.0.2.1 - - [31/Nov/2026:00:00:00 +0000]", "time in another form"},
		{replay.Config{}, "192.0.2.1 - - - - - -", "time in another form"},
		{replay.Config{}, "- - - [29/Nov/2026:00:00:00 +0000]", ""},
		{replay.Config{Cost: "7"}, `192.0.2.1 - - [29/Nov/2026:00:00:00 +0000] "GET /" 200 1.5`, "a cost that is not"},
		{replay.Config{Cost: "7"}, `192.0.2.1 - - [29/Nov/2026:00:00:00 +0000] "GET /" 200 -1`, "cost"},
		{replay.Config{Cost: "7"}, `192.0.2.1 - - [29/Nov/2026:00:00:00 +0000] "GET /" 200 2147483648`, "cost"},
		{replay.Config{Cost: "7"}, `192.0.2.1 - - [29/Nov/2026:00:00:00 +0000] "GET /" 200`, "no field for the cost"},
		{replay.Config{Format: replay.Common}, `{"time":"2026-11-29T00:00:00Z"}`, "no field for the time"},
		{replay.Config{}, strings.Repeat("x", 300<<10), "longer than 256 KiB"},
		{replay.Config{}, "\x00\x01\xff", "no field for the time"},
	} {
		log := read(t, c.config, good, c.line+"\n"+good+"\n\n"+good)
		s := log.Summary()
		switch {
		case s.Requests != 3 || s.Keys != 1:
			t.Errorf("%.60q: %+v", c.line, s)
		case c.want == "" && (s.BrokenLines != 0 || s.Lines != 4 || s.Keyless != 1):
			t.Errorf("%.60q: %+v", c.line, s)
		case c.want != "" && (s.BrokenLines != 1 || s.Lines != 3 || len(s.Broken) != 1 || s.Broken[0].File != "file1" || s.Broken[0].Line != 1 || !strings.Contains(s.Broken[0].Fault, c.want)):
			t.Errorf("%.60q: %+v, want a fault with %q", c.line, s, c.want)
		}
	}
	for _, c := range []struct{ line, want string }{
		{`{"key":"k"}`, "no field for the time"},
		{`{"key":{"k":"k"},"time":1}`, "object or an array"},
		{`{"key":["k",[]],"time":true}`, "time in another form"},
		{`[]`, "not a JSON object"},
		{`null`, "not a JSON object"},
		{`{"key":"k","time":1}}`, "not a JSON object"},
		{`{"key":["k"`, "not a JSON object"},
	} {
		s := read(t, replay.Config{}, `{"key":"k","time":1e0,"x":{}}`+"\n"+`{"key":"k","time":1}`+"\n"+c.line).Summary()
		if s.Requests != 1 || s.BrokenLines != 2 || !strings.Contains(s.Broken[1].Fault, c.want) {
			t.Errorf("%s: %+v, want a fault with %q", c.line, s, c.want)
		}
	}
}

// TestNoSecretIsShown: neither broken lines nor errors nor the worst keys have a letter or digit of a key.
func TestNoSecretIsShown(t *testing.T) {
	const secret = "Sk3cretKey"
	log := read(t, replay.Config{Format: replay.CSV, Key: "key", Time: "time"}, "time,key,"+secret+"\n"+
		strings.Repeat(secret+"\n", 7)+"2026-11-29T00:00:00Z,"+secret+"\n"+"2026-11-29T00:00:00Z,"+secret+"\n")
	outcomes, err := log.Replay(t.Context(), ratelimit.PerSecond(1))
	if err != nil {
		t.Fatal(err)
	}
	s := log.Summary()
	shown := fmt.Sprintf("%+v %+v %v", s, outcomes, s.Broken)
	if strings.Contains(shown, secret) || !strings.Contains(shown, ratelimit.HashKey(secret)) || s.BrokenLines != 7 || len(s.Broken) != 5 || s.Broken[0].Shape != "aa9aaaaaaa" || s.Broken[4].Line != 6 {
		t.Error(shown)
	}
	if want := "file0:2: the line has a time in another form than 02/Jan/2006:15:04:05 -0700, RFC 3339 or a number since 1970: aa9aaaaaaa"; s.Broken[0].String() != want {
		t.Errorf("got %q, want %q", s.Broken[0], want)
	}
	for _, c := range []replay.Config{{Format: replay.CSV}, {}, {Key: "user"}} {
		r, err := replay.NewReader(c)
		if err != nil {
			t.Fatal(err)
		}
		err = r.Add("file", strings.NewReader(secret+","+secret+"\n"+secret))
		_, none := r.Log()
		if none == nil || strings.Contains(fmt.Sprint(err, none), secret) {
			t.Errorf("%+v: %v, %v", c, err, none)
		}
	}
}

// TestBucketKey: texts of one key count together, and the table is asked for the key.
func TestBucketKey(t *testing.T) {
	table, err := plans.NewTable(plans.TableConfig{
		Default: testkit.Policy(t, ratelimit.PerSecond(1)),
		Plans:   map[string]*ratelimit.Policy{"gold": testkit.Policy(t, ratelimit.PerSecond(9))},
		Members: map[string]string{"alice": "gold"},
	})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	log := read(t, replay.Config{Table: table, BucketKey: func(text string) string {
		calls++
		return strings.ToLower(text)
	}}, common("Alice", day), common("ALICE", day), common("alice", day), common("Alice", day))
	demands, err := log.Rates(time.Second)
	if err != nil || log.Summary().Keys != 1 || calls != 3 || len(demands) != 1 || demands[0].Plan != "gold" || demands[0].Denied(3) != 1 || keyOf(t, log) != ratelimit.HashKey("alice") {
		t.Errorf("%d calls, %+v, %+v, %v", calls, log.Summary(), demands, err)
	}
}

// TestBucketKeyThatPanics: the goroutine that parses ends nevertheless, or the bubble would not.
func TestBucketKeyThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := replay.NewReader(replay.Config{BucketKey: func(string) string { panic("no") }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if recover() != "no" {
				t.Error("the panic was lost")
			}
		}()
		_ = r.Add("file", strings.NewReader(strings.Repeat(common("192.0.2.1", day), 5000)))
	})
}

func TestPacked(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	for range 3 { // as cat of two files makes, too
		if _, err := io.WriteString(w, common("192.0.2.1", day)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		w.Reset(&packed)
	}
	if s := read(t, replay.Config{}, packed.String(), common("192.0.2.1", day)).Summary(); s.Requests != 4 || s.Keys != 1 {
		t.Errorf("%+v", s)
	}
}

// TestDamagedArchives: what is in front of the damage counts, the summary names the file, and the next
// one is read. A log without any line because of the damage is an error.
func TestDamagedArchives(t *testing.T) {
	lines := strings.Repeat(common("192.0.2.1", day), 1000)
	whole := packed(t, lines)
	changed := func(at int) string { return whole[:at] + string(whole[at]^0x55) + whole[at+1:] }
	for _, c := range []struct {
		name, file, want string
		least, most      int64 // lines of the file
	}{
		{"cut in the checksum", whole[:len(whole)-3], "unexpected EOF", 1000, 1000},
		{"cut in the data", whole[:len(whole)/2], "unexpected EOF", 1, 999},
		{"cut in a line", packed(t, lines+"192.0.2.1 - ")[:len(whole)-6], "unexpected EOF", 1000, 1000},
		{"a wrong checksum", changed(len(whole) - 6), "invalid checksum", 1000, 1000},
		{"wrong data", changed(len(whole) / 2), "", 0, 1000},
		{"something behind it", whole + "rubbish behind it", "invalid header", 1000, 1000},
		{"cut in the header", whole[:7], "unexpected EOF", 0, 0},
		{"a wrong header", "\x1f\x8bnothing at all", "invalid header", 0, 0},
	} {
		s := read(t, replay.Config{}, c.file, common("192.0.2.1", day)).Summary()
		damaged, next := s.Files[0], s.Files[1]
		if damaged.Damage == "" || !strings.Contains(damaged.Damage, c.want) || damaged.Name != "file0" || damaged.Lines < c.least || damaged.Lines > c.most {
			t.Errorf("%s: %+v, want %d to %d lines and %q", c.name, damaged, c.least, c.most, c.want)
		}
		if want := (replay.File{Name: "file1", Format: replay.Common, Lines: 1}); next != want || s.Requests != damaged.Lines+1 || s.BrokenLines != damaged.BrokenLines || len(s.Files) != 2 {
			t.Errorf("%s: %+v, want what the files have, and %+v", c.name, s, want)
		}
		if c.name != "wrong data" && damaged.BrokenLines > 0 { // data that are wrong may be lines that are
			t.Errorf("%s: the line with the damage counts", c.name)
		}
		r, err := replay.NewReader(replay.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Add("access.log.1.gz", strings.NewReader(c.file)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Log(); c.most == 0 && (err == nil || !strings.Contains(err.Error(), "access.log.1.gz is damaged") || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want an error with the file and %q", c.name, err, c.want)
		}
	}
	fault := errors.New("the disk is gone")
	r, err := replay.NewReader(replay.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add("access.log.gz", io.MultiReader(strings.NewReader(whole[:len(whole)/2]), iotest.ErrReader(fault))); !errors.Is(err, fault) {
		t.Errorf("the error of the reader is lost: %v", err)
	}
}

func TestErrorsOfReaders(t *testing.T) {
	r, err := replay.NewReader(replay.Config{})
	if err != nil {
		t.Fatal(err)
	}
	fault := errors.New("the disk is gone")
	if err := r.Add("access.log", io.MultiReader(strings.NewReader(common("192.0.2.1", day)), iotest.ErrReader(fault))); !errors.Is(err, fault) || !strings.Contains(err.Error(), "access.log") {
		t.Error(err)
	}
}

func TestLogWithoutRequests(t *testing.T) {
	for _, c := range []struct {
		config     replay.Config
		file, want string
	}{
		{replay.Config{}, "", "no lines: file is empty"},
		{replay.Config{}, "\n\r\n", "no lines: file is empty"},
		{replay.Config{}, "x\ny\n", `none of the 2 lines could be read as common with the time in "time", as Config.Format and Config.Time say: file:1: the line has no field for the time`},
		{replay.Config{Time: "ts"}, `{"time":1}`, `could be read as json with the time in "ts"`},
		{replay.Config{}, strings.Repeat("x", 300<<10), "the line is longer than 256 KiB"},
		{replay.Config{Key: "user"}, strings.ReplaceAll(common("192.0.2.1", day), "alice", "-"), `none of the 1 lines has a key: field Config.Key is "user"`},
		{replay.Config{}, `{"time":1}`, `field Config.Key is "key"`},
	} {
		r, err := replay.NewReader(c.config)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Add("file", strings.NewReader(c.file)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Log(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.file, err, c.want)
		}
	}
}

func TestBadConfig(t *testing.T) {
	table, err := plans.NewTable(plans.TableConfig{Default: testkit.Policy(t, ratelimit.PerSecond(1))})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config replay.Config
		want   []string
	}{
		{replay.Config{Format: "xml", Plan: "plan", Table: table}, []string{"Config.Format", `"common"`, "Config.Plan", "Config.Table"}},
		{replay.Config{Table: new(plans.Table)}, []string{"Config.Table", "plans.NewTable"}},
		{replay.Config{Format: replay.Common, Key: "key", Time: "0", Cost: "-1", Plan: "256"}, []string{`Config.Key is "key"`, "from 1 to 255", `"host"`}},
	} {
		_, err := replay.NewReader(c.config)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", c.config, err, want)
			}
		}
	}
	r, err := replay.NewReader(replay.Config{Key: "who"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add("cut.json", strings.NewReader(`ob"}`+"\n"+`{"who":"alice","time":1}`)); err == nil || !strings.Contains(err.Error(), "Config.Format must name the format") {
		t.Error(err)
	}
	r, err = replay.NewReader(replay.Config{Format: replay.CSV, Cost: "tokens"})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add("a.csv", strings.NewReader("time,key\n")); err == nil || !strings.Contains(err.Error(), `a.csv`) || !strings.Contains(err.Error(), `Config.Cost is "tokens"`) {
		t.Error(err)
	}
}
