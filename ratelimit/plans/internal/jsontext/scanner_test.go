package jsontext

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// read reads a document into what standard makes of it.
func read(s *Scanner) (any, error) {
	made, err := valueOf(s, nil)
	if err == nil {
		err = s.End()
	}
	return made, err
}

func valueOf(s *Scanner, begun *Value) (any, error) {
	if begun == nil {
		v, err := s.Value()
		if err != nil {
			return nil, err
		}
		begun = &v
	}
	switch begun.Kind {
	case Text:
		return "string " + begun.Text, nil
	case Number:
		return "json.Number " + begun.Text, nil
	case Bool:
		return "bool " + begun.Text, nil
	case Null:
		return "<nil> <nil>", nil
	case List:
		made := []any{"["}
		return made, s.Items(func(v Value) error {
			item, err := valueOf(s, &v)
			made = append(made, item)
			return err
		})
	}
	made := []any{"{"}
	err := s.Entries(func(_ Position, name string) error {
		value, err := valueOf(s, nil)
		made = append(made, "string "+name, value)
		return err
	})
	return made, err
}

// standard reads JSON with encoding/json.
func standard(text string) (any, error) {
	if !json.Valid([]byte(text)) {
		return nil, errors.New("not valid")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	made, err := standardValue(d)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return made, err
}

func standardValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return fmt.Sprintf("%T %v", token, token), nil
	}
	made := []any{fmt.Sprint(delim)}
	for d.More() {
		v, err := standardValue(d)
		if err != nil {
			return nil, err
		}
		made = append(made, v)
	}
	_, err = d.Token()
	return made, err
}

// FuzzScanner: a scanner reads what encoding/json reads, and the same from a string as from a
// stream, however that is cut.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{
		`-0.5e+7`, `[1,-0,1.5E-3,01]`, `1.`, `-`, `1e`, "\"\x7f\u2028\"", `"\ud83d\ude00\u00e9\"\\\/\b\f\n\r\t"`, `"\ud83d"`, `"\ude00"`, `"\ud83d\u0041"`, `{"a":{"b":[[],{}]}}`, `nul`, `truefalse`, "\"a\nb\"", ` [ ] `, `"\u12g4"`, `"\u00`,
		`{"default": "5/s", "members": {"é…\u0020ключ": "gold", "b":true}, "x":[null,false,{}] } `, `{"a" 1}`, `{"a":1,}`, `[1,]`, `[1 2]`, `{"a":1 "b"}`, `{a:1}`, `1 2`, "", strings.Repeat("[", maxDepth+1), "{\"é\":\n\"é\", \"é\": é}", `"\`, `"0\ud800\u00000`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := read(NewScanner(text))
		fault, _ := errors.AsType[*SyntaxError](err)
		if err != nil {
			lines := strings.Split(text, "\n")
			if fault == nil || fault.Line < 1 || int(fault.Line) > len(lines) || fault.Column < 1 || fault.Found == "" || fault.Want == "" {
				t.Fatalf("%q: %+v", text, fault)
			} else if utf8.ValidString(text) && int(fault.Column) > utf8.RuneCountInString(lines[fault.Line-1])+1 {
				t.Errorf("%q: column %d", text, fault.Column)
			}
		}
		for name, r := range map[string]io.Reader{
			"bytes": iotest.OneByteReader(strings.NewReader(text)), "whole": iotest.DataErrReader(strings.NewReader(text)), "halves": iotest.HalfReader(strings.NewReader(text)),
		} {
			s := NewReader(r)
			s.buffer = make([]byte, 3) // cuts everything
			if again, err2 := read(s); !reflect.DeepEqual(again, got) || !reflect.DeepEqual(err2, err) {
				t.Errorf("%q is\n%v, %+v\nand as a stream of %s\n%v, %+v", text, got, err, name, again, err2)
			}
		}
		if !utf8.ValidString(text) {
			return // encoding/json replaces the bytes
		}
		want, err := standard(text)
		switch {
		case fault == nil && err != nil:
			t.Errorf("%q is accepted, and encoding/json says %v", text, err)
		case fault != nil && err == nil && !strings.Contains(fault.Want, `\u and four`) && !strings.HasPrefix(fault.Found, "too many"):
			t.Errorf("%q: %+v, and encoding/json accepts it", text, fault)
		case fault == nil && !reflect.DeepEqual(got, want):
			t.Errorf("%q is\n%v, and to encoding/json\n%v", text, got, want)
		}
	})
}

// TestPositions: line and column are those of the value, in characters.
func TestPositions(t *testing.T) {
	const text = "{\"é…\": \"a\",\n\t\"\\u00e9\" :\"ключ\"  , \"b\": 5}"
	for name, s := range map[string]*Scanner{"string": NewScanner(text), "stream": NewReader(iotest.OneByteReader(strings.NewReader(text)))} {
		var got []Position
		root, err := s.Value()
		if err != nil {
			t.Fatal(err)
		}
		err = s.Entries(func(at Position, _ string) error {
			v, err := s.Value()
			got = append(got, at, v.Position)
			return err
		})
		want := []Position{{1, 2}, {1, 8}, {2, 2}, {2, 12}, {2, 22}, {2, 27}}
		if err != nil || root.Position != (Position{1, 1}) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
}

// TestStreamIsNotKept: a stream may be longer than memory, unless it is one text.
func TestStreamIsNotKept(t *testing.T) {
	for name, stream := range map[string]io.Reader{
		"spaces":  io.MultiReader(strings.NewReader("["), io.LimitReader(again(" "), 4<<20), strings.NewReader("]")),
		"entries": io.MultiReader(strings.NewReader("[1"), io.LimitReader(again(",12345"), 6<<20), strings.NewReader("]")),
	} {
		s := NewReader(iotest.HalfReader(stream))
		most := 0
		v, err := s.Value()
		if err == nil {
			err = s.Items(func(Value) error { most = max(most, len(s.window)); return nil })
		}
		if err == nil {
			err = s.End()
		}
		if err != nil || v.Kind != List || max(most, len(s.window)) > 128<<10 || len(s.buffer) > 64<<10 {
			t.Errorf("%s: %v, a window of %d bytes, %v", name, v.Kind, max(most, len(s.window)), err)
		}
	}
}

// again reads as its text again and again.
type again string

func (a again) Read(b []byte) (int, error) {
	n := 0
	for n+len(a) <= len(b) {
		n += copy(b[n:], a)
	}
	return n, nil
}

// TestLongTextInPieces: a text of 4 MB that comes in pieces of 100 bytes is not copied for
// each of them.
func TestLongTextInPieces(t *testing.T) {
	text := `"` + strings.Repeat("é", 2<<20) + `"`
	s := NewReader(&pieceReader{strings.NewReader(text)})
	v, err := s.Value()
	if err != nil || v.Text != text[1:len(text)-1] || s.End() != nil {
		t.Fatalf("%d bytes, %v", len(v.Text), err)
	}
	allocs := testing.AllocsPerRun(1, func() { _, _ = NewReader(&pieceReader{strings.NewReader(text)}).Value() })
	if allocs > 50 {
		t.Errorf("%v allocations", allocs)
	}
}

type pieceReader struct{ io.Reader }

func (r *pieceReader) Read(b []byte) (int, error) { return r.Reader.Read(b[:min(len(b), 100)]) }

// TestStreamError: an error of the stream is the stream's, wherever it comes.
func TestStreamError(t *testing.T) {
	cut := errors.New("cut off")
	const text = ` {"a" : [1, -2.5e3, true, null, "\u00e9\n", "é"], "b": {}} `
	for n := range len(text) + 1 {
		if _, err := read(NewReader(io.MultiReader(strings.NewReader(text[:n]), iotest.ErrReader(cut)))); !errors.Is(err, cut) {
			t.Errorf("behind %d bytes: %v", n, err)
		}
	}
}

// BenchmarkScanner compares the scanner with the tokens of encoding/json, which have no lines.
func BenchmarkScanner(b *testing.B) {
	var text strings.Builder
	text.WriteString(`{"members": {"customer": "gold"`)
	for i := range 1_000_000 {
		fmt.Fprintf(&text, ",\n    \"customer-%07d-86de594f7827c0bb6c7eb12b\": \"gold\"", i)
	}
	text.WriteString("}}")
	all := text.String()
	scan := func(b *testing.B, newScanner func() *Scanner) {
		b.ReportAllocs()
		for b.Loop() {
			s := newScanner()
			v, err := s.Value()
			if err == nil {
				err = s.Skip(v)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("string", func(b *testing.B) { scan(b, func() *Scanner { return NewScanner(all) }) })
	b.Run("stream", func(b *testing.B) { scan(b, func() *Scanner { return NewReader(strings.NewReader(all)) }) })
	b.Run("encoding", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d := json.NewDecoder(strings.NewReader(all))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
