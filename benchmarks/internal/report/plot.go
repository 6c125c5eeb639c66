package report

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// pngResolution is in dots per inch: twice that of a screen.
const pngResolution = 144

// A picture can be drawn, and knows how large it is, in points.
type picture interface {
	size() (width, height vg.Length)
	draw(draw.Canvas)
}

// writePlot draws a view into a folder, as NAME.svg and NAME.png.
func writePlot(folder string, v View, s *Session) error {
	rows := v.rows(s)
	if v.Name == "" || len(rows) == 0 {
		return nil
	}
	return writePicture(folder, v.Name, &chart{view: v, rows: rows, session: s})
}

// writePicture draws a picture into a folder, as NAME.svg and NAME.png.
func writePicture(folder, name string, p picture) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	width, height := p.size()
	svg := vgsvg.New(width, height)
	png := vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(pngResolution))
	for _, out := range []struct {
		canvas  vg.CanvasSizer
		writer  io.WriterTo
		postfix string
	}{
		{svg, fitted{svg}, ".svg"},
		{png, vgimg.PngCanvas{Canvas: png}, ".png"},
	} {
		p.draw(draw.New(out.canvas))
		if err := writeFile(filepath.Join(folder, name+out.postfix), out.writer); err != nil {
			return err
		}
	}
	return nil
}

// fitted writes an SVG whose texts are as wide as they were laid out.
type fitted struct{ svg *vgsvg.Canvas }

func (f fitted) WriteTo(w io.Writer) (int64, error) {
	var b bytes.Buffer
	if _, err := f.svg.WriteTo(&b); err != nil {
		return 0, err
	}
	n, err := w.Write(fitText(b.Bytes()))
	return int64(n), err
}

func writeFile(name string, content io.WriterTo) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buffer := bufio.NewWriter(file)
	if _, err := content.WriteTo(buffer); err != nil {
		return err
	}
	return buffer.Flush()
}
