package console_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/keyrate/keyrate/middleware/interop/internal/tab"
)

// TestScreenshot: the page renders in light and dark, with the colours of calls that are served
// and denied. With -update it writes the pictures of the docs.
func TestScreenshot(t *testing.T) {
	p := start(t)
	page := tab.Open(t, p.console(t))
	if err := chromedp.Do(page, chromedp.EmulateViewport(1280, 860)); err != nil {
		t.Fatal(err)
	}
	seconds := 3
	if *update {
		seconds = 90
	}
	load(t, p, seconds, func(second int) {
		if second == seconds/2 {
			look(page, t, "ada-s3cr3t")
		}
	})
	await(page, t, `document.querySelector("path[data-kind=denied]").getAttribute("d") !== "" && !document.getElementById("found").hidden`)
	for _, look := range []struct {
		scheme, file string
		allowed      color.Color
		denied       color.Color
	}{
		{"light", "console.png", color.NRGBA{0x0a, 0x7a, 0x5c, 0xff}, color.NRGBA{0xc6, 0x28, 0x28, 0xff}},
		{"dark", "console-dark.png", color.NRGBA{0x45, 0xc4, 0x9d, 0xff}, color.NRGBA{0xff, 0x7b, 0x72, 0xff}},
	} {
		if _, err := chromedp.Call(page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}}}); err != nil {
			t.Fatal(err)
		}
		shot, err := chromedp.Run(page, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(shot))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []color.Color{look.allowed, look.denied} {
			if n := pixels(picture, c); n < 200 {
				t.Errorf("%s: %d pixels of the colour %v", look.scheme, n, c)
			}
		}
		if *update {
			if err := os.WriteFile("../../../docs/"+look.file, shot, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// load calls the API for some seconds: alice is denied for the day, bob bursts, ada stays below
// her limit.
func load(t *testing.T, p *program, seconds int, each func(second int)) {
	t.Helper()
	var calls sync.WaitGroup
	defer calls.Wait()
	for second := range seconds {
		calls.Go(func() {
			p.call(t, "ada-s3cr3t", 7+second%3)
			p.call(t, "alice-s3cr3t", 1)
			if second%30 > 20 {
				p.call(t, "bob", 10+second%7)
			}
			p.call(t, "carol", 2+second%2)
		})
		each(second)
		time.Sleep(time.Second)
	}
	p.call(t, "bob", 20)
}

// pixels counts those of one colour.
func pixels(picture image.Image, c color.Color) (n int) {
	r, g, b, _ := c.RGBA()
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			if pr, pg, pb, _ := picture.At(x, y).RGBA(); pr == r && pg == g && pb == b {
				n++
			}
		}
	}
	return n
}
