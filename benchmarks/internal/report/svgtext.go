package report

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"regexp"
	"strconv"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// svgText is a text as vgsvg writes it, in a font that few readers have.
var svgText = regexp.MustCompile(`(?s)<text ([^>]*)style="font-family:Liberation Sans;([^"]*font-weight:(normal|bold);[^"]*font-size:([0-9.]+)px[^"]*)">(.*?)</text>`)

// fitText makes the texts of an SVG as wide in a reader's font as they are in the font
// that the picture was laid out with. Another font is wider or narrower: a name that ends
// at a bar then ran under it.
func fitText(svg []byte) []byte {
	return svgText.ReplaceAllFunc(svg, func(all []byte) []byte {
		m := svgText.FindSubmatch(all)
		size, err := strconv.ParseFloat(string(m[4]), 64)
		if err != nil {
			return all
		}
		width := style(color.Black, vg.Length(size), string(m[3]) == "bold", draw.XLeft).Width(html.UnescapeString(string(m[5])))
		var b bytes.Buffer
		fmt.Fprintf(&b, `<text %stextLength="%.5g" lengthAdjust="spacingAndGlyphs" style="font-family:'Liberation Sans',Arial,Helvetica,sans-serif;%s">%s</text>`, m[1], width.Points(), m[2], m[5])
		return b.Bytes()
	})
}
