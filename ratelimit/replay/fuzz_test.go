package replay

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzCommon: whatever a line is, its parts are parts of it, and a fault is one of the known ones.
func FuzzCommon(f *testing.F) {
	for _, line := range []string{
		`192.0.2.1 - alice [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 2326 "-" "a \"quoted\\" 10`,
		`a [`, `"`, `\`, `"\" `, `[]`, "a\x00 b  c [29/Feb/2024:23:59:60 +2359] x", `::1 - - [10/Oct/2000:13:55:36 -0700] "" - 7`,
	} {
		f.Add(line)
	}
	p, err := newCommonParser(fields{"host", "time", "7", "user"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkParser(t, p, text)
	})
}

// FuzzJSON: what encoding/json reads is read alike.
func FuzzJSON(f *testing.F) {
	for _, line := range []string{
		`{"time":971211336.25,"a":{"key":["alice"]},"cost":3,"plan":"gold"}`, `{"time":"2000-10-10T13:55:36Z","a.key":"k"}`, `{"a":{"key":"b\\","x":[{"y":"]"}]} , "time" : 1 }`,
		`{"a":null}`, `{"a":{"key":{}}}`, `[`, `null`, `{"time":1e3}`, `{"a":{"key":[]},"time":"\u0031"}`, `{"time":1,"a":{"key":[[1]]},"a":{"key":7}}`, `{"a":{"key":1},"a":3,"\u0074ime":true}`,
	} {
		f.Add(line)
	}
	p := newJSONParser(fields{"a.key", "time", "cost", "plan"})
	f.Fuzz(func(t *testing.T, text string) {
		checkParser(t, p, text)
		line, _, _ := strings.Cut(text, "\n")
		exact := map[string]json.RawMessage{}
		if !utf8.ValidString(line) || json.Unmarshal([]byte(line), &exact) != nil || exact == nil || exact["a.key"] != nil {
			return
		}
		var inner map[string]json.RawMessage
		_ = json.Unmarshal(exact["a"], &inner)
		err := p.parse([]byte(line), new(entry))
		for name, c := range map[string]struct {
			got  jsonField
			want json.RawMessage
		}{"time": {p.time, exact["time"]}, "cost": {p.cost, exact["cost"]}, "plan": {p.plan, exact["plan"]}, "key": {p.key, inner["key"]}} {
			want, fault := jsonText(c.want)
			if errors.Is(err, errJSON) || !errors.Is(c.got.fault, fault) || fault == nil && string(c.got.text) != want {
				t.Fatalf("%q: %s is %q, %v; want %q, %v; %v", line, name, c.got.text, c.got.fault, want, fault, err)
			}
		}
	})
}

// jsonText returns what a value stands for.
func jsonText(value json.RawMessage) (string, error) {
	var decoded any
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	_ = d.Decode(&decoded) // nil if there is none
	if array, ok := decoded.([]any); ok {
		if len(array) == 0 {
			return "", nil
		}
		decoded = array[0]
	}
	switch v := decoded.(type) {
	case nil:
		return "", nil
	case map[string]any, []any:
		return "", errValue
	default:
		return fmt.Sprint(v), nil
	}
}

func checkParser(t *testing.T, p parser, text string) {
	t.Helper()
	line, _, _ := strings.Cut(text, "\n")
	if line == "" {
		return
	}
	var e entry
	err := p.parse([]byte(line), &e)
	for _, known := range []error{errNoTime, errTime, errNoCost, errCost, errQuote, errJSON, errValue} {
		if err != nil && errors.Is(err, known) && err.Error() == known.Error() {
			return
		}
	}
	if err != nil {
		t.Fatalf("%q: the fault %q may show a secret", line, err)
	}
	if e.at < 0 || e.at > lastInstant || e.cost > 1<<31-1 || len(e.key) > 3*len(line) || e.key != nil && len(e.key) == 0 {
		t.Fatalf("%q: %+v", line, e)
	}
}

// FuzzCSV: what encoding/csv reads from one line is read, and alike.
func FuzzCSV(f *testing.F) {
	for _, line := range []string{`a,"b ""c"" d",,e`, `"`, `""`, `"a"b`, `a"b`, `,`, `"a",`, `,"b,c"`, "a\rb"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if line == "" || strings.ContainsAny(line, "\r\n") {
			return
		}
		want, wantErr := csv.NewReader(strings.NewReader(line)).Read()
		var p csvParser
		if err := p.split([]byte(line)); err != nil {
			if wantErr == nil {
				t.Fatalf("%q: %v, want %q", line, err, want)
			}
			return
		}
		if errors.Is(wantErr, csv.ErrBareQuote) { // inside of a value without quotes it may stand for itself
			return
		}
		got := make([]string, len(p.values))
		for i, v := range p.values {
			got[i] = string(v)
		}
		if wantErr != nil || strings.Join(got, "\x00") != strings.Join(want, "\x00") {
			t.Fatalf("%q: %q, want %q, %v", line, got, want, wantErr)
		}
	})
}

func TestInstant(t *testing.T) {
	for text, want := range map[string]int64{
		"31/Dec/2016:23:59:59 +0000": 1483228799e6, "31/Dec/2016:23:59:60 +0000": 1483228800e6, "31/Dec/2016:23:59:61 +0000": -1,
		"01/Jan/1970:00:00:00 +0000": 0, "01/Jan/1970:00:00:00 +0001": -1,
		"2016-12-31T23:59:59.9999999Z": 1483228799_999999, "10000-01-01T00:00:00Z": -1,
		"0": 0, "1.25": 1_250_000, "1.2345678": 1_234_567, "99999999999": 99999999999e6, "100000000000": 100000000000e3, "99999999999999": 99999999999999e3,
		"100000000000000": 100000000000000, "99999999999999999": 99999999999999999, "100000000000000000": 100000000000000, "9999999999999999999": 9999999999999999, "10000000000000000000": -1,
		"": -1, ".5": -1, "1.": 1e6, "1x": -1, "-1": -1, "100000000000000000.5": -1,
	} {
		if got, ok := instant([]byte(text)); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q is %d, %t; want %d", text, got, ok, want)
		}
	}
}

func TestDividedUp(t *testing.T) {
	for _, c := range [][4]uint64{{6, 1, 3, 2}, {7, 1, 3, 3}, {8, 1, 3, 3}, {1 << 62, 8, 1 << 60, 32}, {0, 5, 7, 0}} {
		if got := dividedUp(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("%d*%d/%d is %d, want %d", c[0], c[1], c[2], got, c[3])
		}
	}
}

// FuzzInstant compares the quick reading of times with package time.
func FuzzInstant(f *testing.F) {
	for _, text := range []string{
		"10/Oct/2000:13:55:36 -0700", "29/Feb/2024:23:59:59 +0530", "29/Feb/2023:00:00:00 +0000", "31/Dec/9999:23:59:59 +0000", "01/Jan/1970:00:00:00 +0001",
		"29/Feb/2000:00:00:00 +0000", "29/Feb/2100:00:00:00 +0000", "1/Jan/2000:00:00:00 +0000", "10/oct/2000:13:55:36 -0700", "10/Oct/2000:24:00:00 -0700", "01/Feb/2000:0:00:00  +0000",
		"2000-10-10T13:55:36.123456789-07:00", "2000-10-10 13:55:36", "2000-10-10T13:55:36", "0000-01-01T00:00:00Z", "971211336.25", "971211336250", "971211336250000", "971211336250000123", "1.", ".1", "1e9", "-1", "99999999999999999999",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		micros, ok := instant([]byte(text))
		if ok && (micros < 0 || micros > lastInstant) {
			t.Fatalf("%q is %d", text, micros)
		}
		if len(text) < 3 || text[2] != '/' {
			return
		}
		want, err := time.Parse(commonLayout, text)
		leap := len(text) > 20 && text[18:20] == "60" // which package time does not have
		inRange := err == nil && want.UnixMicro() >= 0 && want.UnixMicro() <= lastInstant
		// Package time reads more than it writes, such as an hour of one digit and two spaces.
		written := err == nil && want.Format(commonLayout) == text
		if ok && !leap && (err != nil || micros != want.UnixMicro()) || !ok && inRange && written {
			t.Fatalf("%q is %d, %t; want %d, %v", text, micros, ok, want.UnixMicro(), err)
		}
	})
}
