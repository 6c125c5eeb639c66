package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

var update = flag.Bool("update", false, "make the texts of the committed plots fit")

// TestCommittedPlotsFit: each text of a committed plot has the width that it was laid out
// with, and ends within the picture, whatever fonts a reader has.
func TestCommittedPlotsFit(t *testing.T) {
	files, err := filepath.Glob("../../plots/*.svg")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d plots, %v", len(files), err)
	}
	for _, file := range files {
		svg, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			svg = fitText(svg)
			if err := os.WriteFile(file, svg, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(svg, fitText(svg)) {
			t.Errorf("%s has texts of no width; -update mends them", file)
		}
		checkTexts(t, file, svg)
	}
}

// checkTexts wants a width of every text.
func checkTexts(t *testing.T, file string, svg []byte) {
	t.Helper()
	texts, width := 0, 0.0
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		number := func(name string) float64 {
			for _, a := range element.Attr {
				if a.Name.Local == name {
					n, _ := strconv.ParseFloat(string(bytes.TrimSuffix([]byte(a.Value), []byte("pt"))), 64)
					return n
				}
			}
			return 0
		}
		switch element.Name.Local {
		case "svg":
			width = number("width")
		case "text":
			texts++
			if number("textLength") <= 0 || number("x") < 0 || number("x")+number("textLength") > width {
				t.Errorf("%s: a text at %v of %v is %v wide", file, number("x"), width, number("textLength"))
			}
		}
	}
	if texts < 10 {
		t.Errorf("%s has %d texts", file, texts)
	}
}

// TestFitText: what a picture writes fits, a width is that of the font, and it is done once.
func TestFitText(t *testing.T) {
	folder := t.TempDir()
	runFake(t, "fake", "-plot", folder)
	svg, err := os.ReadFile(filepath.Join(folder, "fake.svg"))
	if err != nil {
		t.Fatal(err)
	}
	checkTexts(t, "fake.svg", svg)
	if !bytes.Contains(svg, []byte(">keyrate, two limits</text>")) || !bytes.Equal(fitText(svg), svg) {
		t.Errorf("%s", svg)
	}
	width := func(text, weight string) float64 {
		t.Helper()
		out := fitText([]byte(`<text x="1" style="font-family:Liberation Sans;font-weight:` + weight + `;font-size:10px;">` + text + `</text>`))
		_, rest, _ := bytes.Cut(out, []byte(`textLength="`))
		value, _, _ := bytes.Cut(rest, []byte(`"`))
		n, err := strconv.ParseFloat(string(value), 64)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		return n
	}
	if width("a&lt;b", "normal") != width("a>b", "normal") || width("wide", "bold") <= width("wide", "normal") || width("iii", "normal") >= width("mmm", "normal") {
		t.Errorf("widths %v %v %v", width("a&lt;b", "normal"), width("wide", "bold"), width("iii", "normal"))
	}
}
