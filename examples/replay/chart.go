package main

import (
	"bytes"
	"errors"
	"image/color"
	"io"
	"os"

	imagefont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// The measures of the picture, in points.
const (
	pictureWidth = 720
	margin       = 14
	axisWidth    = 56 // for the figures at the left
	headHeight   = 44 // of a panel
	footHeight   = 24 // for the figures below
	panelGap     = 12
	titleSize    = 12
	labelSize    = 9
	// pngResolution is in dots per inch: twice that of a screen.
	pngResolution = 144
)

var (
	ink         = color.RGBA{R: 0x22, G: 0x26, B: 0x2b, A: 0xff}
	faint       = color.RGBA{R: 0x6b, G: 0x72, B: 0x7b, A: 0xff}
	rule        = color.RGBA{R: 0xd5, G: 0xd9, B: 0xde, A: 0xff}
	calmColor   = color.RGBA{R: 0x6f, G: 0xb3, B: 0xc8, A: 0xff}
	deniedColor = color.RGBA{R: 0xb0, G: 0x2a, B: 0x2a, A: 0xff}
)

// A panel is a part of the picture, as wide as that.
type panel interface {
	height() vg.Length                          // without head and foot
	head() (title, note string)                 // above it
	draw(canvas draw.Canvas, area vg.Rectangle) // with the figures around the area
}

// draw draws a session into files; "" is none.
func (s *session) draw(svgName, pngName string) error {
	var panels []panel
	for i := range s.candidates {
		panels = append(panels, &timeline{s.candidates[i]})
	}
	panels = append(panels, newCurves(s.rates))
	height := vg.Length(margin)
	for _, p := range panels {
		height += headHeight + p.height() + footHeight + panelGap
	}
	if svgName != "" {
		canvas := vgsvg.New(pictureWidth, height)
		drawPanels(draw.New(canvas), panels, height)
		if err := writeFile(svgName, widelyKnownFonts{canvas}); err != nil {
			return err
		}
	}
	if pngName != "" {
		canvas := vgimg.NewWith(vgimg.UseWH(pictureWidth, height), vgimg.UseDPI(pngResolution))
		drawPanels(draw.New(canvas), panels, height)
		return writeFile(pngName, vgimg.PngCanvas{Canvas: canvas})
	}
	return nil
}

func drawPanels(canvas draw.Canvas, panels []panel, top vg.Length) {
	canvas.SetColor(color.White)
	canvas.Fill(rectangle(0, 0, pictureWidth, top))
	for _, p := range panels {
		title, note := p.head()
		canvas.FillText(style(ink, titleSize, true, draw.XLeft), vg.Point{X: margin, Y: top - margin}, title)
		canvas.FillText(style(faint, labelSize, false, draw.XLeft), vg.Point{X: margin, Y: top - margin - 14}, note)
		top -= headHeight
		area := vg.Rectangle{Min: vg.Point{X: margin + axisWidth, Y: top - p.height()}, Max: vg.Point{X: pictureWidth - margin, Y: top}}
		p.draw(canvas, area)
		top -= p.height() + footHeight + panelGap
	}
}

// across draws a line with a figure at its left.
func across(canvas draw.Canvas, area vg.Rectangle, y vg.Length, figure string) {
	canvas.SetColor(rule)
	canvas.Fill(rectangle(area.Min.X, y, area.Max.X-area.Min.X, 0.5))
	canvas.FillText(style(faint, labelSize, false, draw.XRight), vg.Point{X: area.Min.X - 6, Y: y}, figure)
}

// below draws a figure below an area.
func below(canvas draw.Canvas, area vg.Rectangle, x vg.Length, figure string) {
	canvas.SetColor(rule)
	canvas.Fill(rectangle(x, area.Min.Y-4, 0.5, 4))
	canvas.FillText(style(faint, labelSize, false, draw.XCenter), vg.Point{X: x, Y: area.Min.Y - 12}, figure)
}

func rectangle(x, y, width, height vg.Length) vg.Path {
	var p vg.Path
	p.Move(vg.Point{X: x, Y: y})
	p.Line(vg.Point{X: x + width, Y: y})
	p.Line(vg.Point{X: x + width, Y: y + height})
	p.Line(vg.Point{X: x, Y: y + height})
	p.Close()
	return p
}

func style(c color.Color, size vg.Length, bold bool, align text.XAlignment) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = imagefont.WeightBold
	}
	return text.Style{Color: c, Font: f, XAlign: align, YAlign: draw.YCenter, Handler: plot.DefaultTextHandler}
}

// widelyKnownFonts writes an SVG that names fonts as wide as Liberation Sans, which few readers have.
type widelyKnownFonts struct{ svg *vgsvg.Canvas }

func (f widelyKnownFonts) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	if _, err := f.svg.WriteTo(&b); err != nil {
		return 0, err
	}
	n, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")))
	return int64(n), err
}

func writeFile(name string, content io.WriterTo) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = content.WriteTo(file)
	return err
}
