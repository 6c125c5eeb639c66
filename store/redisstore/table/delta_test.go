package table

import (
	"bytes"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

var hash = ratelimit.HashKey("key")

// TestDeltaIsSmall: a change of a line of a long text takes less than a hundred bytes.
func TestDeltaIsSmall(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 10_000 {
		lines = append(lines, ratelimit.HashKey(strings.Repeat("x", i))+`": "gold",`+"\n")
	}
	old := strings.Join(lines, "")
	lines[5000] = hash + `": "silver",` + "\n"
	text := strings.Join(append(lines[:7000], lines[7001:]...), "")
	d := diff(old, text)
	if got, err := patch(old, d); err != nil || got != text {
		t.Fatalf("%v", err)
	}
	if len(d) > 100 {
		t.Errorf("%d bytes", len(d))
	}
}

// FuzzDelta: what diff makes, patch reads; and no delta makes patch panic or take a lot of memory.
func FuzzDelta(f *testing.F) {
	f.Add("", "", []byte{})
	f.Add("a\nb\nc\n", "a\nc\nb\nd\nb\n", []byte{2, 'x'})
	f.Add("a\nb", "b\na\n"+hash, []byte{7, 0})
	f.Add(hash+"\n", "x"+hash+"\nsha256:12", []byte{0x82, 0, 0})
	f.Fuzz(func(t *testing.T, old, text string, d []byte) {
		old, text = strings.ReplaceAll(old, "\x00", ""), strings.ReplaceAll(text, "\x00", "")
		if got, err := patch(old, diff(old, text)); err != nil || got != text {
			t.Errorf("%q from %q: %q, %v", text, old, got, err)
		}
		_, _ = patch(old, d)
	})
}

// FuzzPack: what pack makes, unpack reads, and no text makes unpack panic.
func FuzzPack(f *testing.F) {
	for _, text := range []string{"", hash, "a" + hash + hash + "b", "sha256:", hash[:70], strings.ToUpper(hash), "\x00" + strings.Repeat("x", 32), "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := unpack([]byte(text)); err == nil && len(got) < len(text) && !bytes.Contains([]byte(text), []byte{0}) {
			t.Errorf("%q: %q", text, got)
		}
		text = strings.ReplaceAll(text, "\x00", "")
		if got, err := unpack(pack(text)); err != nil || got != text {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	})
}
