package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	imagefont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// A chart draws a view: a panel per column, in each of them a bar per row with its
// value and its ratio to keyrate at the end. There are no axes to read.
type chart struct {
	view    View
	rows    []row
	session *Session
}

// The measures of a chart, in points.
const (
	margin      = 14
	gutter      = 118 // for the names
	panelWidth  = 196
	panelGap    = 16
	valueWidth  = 88 // for the text at the end of the longest bar
	titleHeight = 42
	headHeight  = 26 // of a panel
	rowHeight   = 21
	barHeight   = 14
	titleSize   = 13
	labelSize   = 10
	valueSize   = 9
	noteHeight  = 14
	perLine     = 3   // panels
	narrowTitle = 420 // the least width that a title and its note need
)

var (
	background = color.White
	ink        = color.RGBA{R: 0x22, G: 0x26, B: 0x2b, A: 0xff}
	faint      = color.RGBA{R: 0x6b, G: 0x72, B: 0x7b, A: 0xff}
	rule       = color.RGBA{R: 0xd5, G: 0xd9, B: 0xde, A: 0xff}
	// The bars.
	oursColor      = color.RGBA{R: 0x0b, G: 0x6e, B: 0x8f, A: 0xff}
	variantColor   = color.RGBA{R: 0x6f, G: 0xb3, B: 0xc8, A: 0xff}
	rivalColor     = color.RGBA{R: 0xb3, G: 0x8a, B: 0x6d, A: 0xff}
	yardstickColor = color.RGBA{R: 0xc9, G: 0xcd, B: 0xd2, A: 0xff}
)

// columns returns those that are drawn.
func (c *chart) columns() []Column {
	return slices.DeleteFunc(slices.Clone(c.view.Columns), func(c Column) bool { return c.Hidden })
}

// panelHeight is the height of a line of panels.
func (c *chart) panelHeight() vg.Length { return headHeight + vg.Length(len(c.rows))*rowHeight }

// titleSpace is the height of what stands above the panels.
func (c *chart) titleSpace() vg.Length {
	return titleHeight + vg.Length(len(c.notes())-1)*noteHeight
}

// notes returns the lines below the title.
func (c *chart) notes() []string {
	better := "less"
	if c.view.More {
		better = "more"
	}
	first := better + " is better"
	if slices.ContainsFunc(c.columns(), func(c Column) bool { return !c.Plain }) {
		first += "; beside each value its ratio to keyrate"
	}
	if c.view.Log {
		first += "; logarithmic scale"
	}
	if c.view.Note == "" {
		return []string{first}
	}
	return []string{first, c.view.Note}
}

func (c *chart) size() (width, height vg.Length) {
	columns := len(c.columns())
	across := vg.Length(min(columns, perLine))
	lines := vg.Length((columns + perLine - 1) / perLine)
	width = 2*margin + gutter + across*panelWidth + (across-1)*panelGap
	return max(width, narrowTitle), 2*margin + c.titleSpace() + lines*c.panelHeight() + (lines-1)*panelGap
}

func (c *chart) draw(canvas draw.Canvas) {
	width, height := c.size()
	canvas.SetColor(background)
	canvas.Fill(rectangle(0, 0, width, height))
	y := height - margin - titleSize/2
	canvas.FillText(style(ink, titleSize, true, draw.XLeft), vg.Point{X: margin, Y: y}, c.view.Title)
	for i, note := range c.notes() {
		at := vg.Point{X: margin, Y: y - 17 - vg.Length(i)*noteHeight}
		canvas.FillText(style(faint, valueSize, false, draw.XLeft), at, note)
	}
	for i, column := range c.columns() {
		line, place := vg.Length(i/perLine), vg.Length(i%perLine)
		top := height - margin - c.titleSpace() - line*(c.panelHeight()+panelGap) - headHeight
		if place == 0 {
			c.names(canvas, top)
		}
		c.panel(canvas, column, margin+gutter+place*(panelWidth+panelGap), top)
	}
}

// names draws the names of the rows, below top.
func (c *chart) names(canvas draw.Canvas, top vg.Length) {
	for i, r := range c.rows {
		at := vg.Point{X: margin + gutter - 10, Y: top - vg.Length(i)*rowHeight - rowHeight/2}
		canvas.FillText(style(ink, labelSize, r.library == library.Ours, draw.XRight), at, r.label)
	}
}

// panel draws one column, whose bars begin at left, below top.
func (c *chart) panel(canvas draw.Canvas, column Column, left, top vg.Length) {
	heading := column.Label
	if column.Unit != "" {
		heading += ", " + column.Unit
	}
	canvas.FillText(style(ink, labelSize, true, draw.XLeft), vg.Point{X: left, Y: top + 8}, heading)
	canvas.SetColor(rule)
	canvas.Fill(rectangle(left-1, top-vg.Length(len(c.rows))*rowHeight, 1, vg.Length(len(c.rows))*rowHeight))
	length := c.scale(column)
	for i, r := range c.rows {
		y := top - vg.Length(i)*rowHeight - rowHeight/2
		value := column.value(c.session, r)
		if math.IsNaN(value) {
			canvas.FillText(style(faint, valueSize, false, draw.XLeft), vg.Point{X: left + 4, Y: y}, "–")
			continue
		}
		bar := vg.Length(length(value)) * (panelWidth - valueWidth)
		canvas.SetColor(c.barColor(r))
		canvas.Fill(rectangle(left, y-barHeight/2, bar, barHeight))
		canvas.FillText(style(ink, valueSize, r.library == library.Ours, draw.XLeft), vg.Point{X: left + bar + 4, Y: y}, c.label(column, r, value))
	}
}

// label is what stands at the end of a bar.
func (c *chart) label(column Column, r row, value float64) string {
	text := column.text(value)
	base, found := column.find(c.session, row{library: library.Ours}), column.find(c.session, r)
	if v, ok := base.Median(column.Figure); !ok || v == 0 || column.Plain || r.library == library.Ours && r.variant == "" {
		return text
	}
	return fmt.Sprintf("%s  (%s)", text, times(Ratio(found.Samples[column.Figure], base.Samples[column.Figure])))
}

// scale returns what part of the longest bar a value's is.
func (c *chart) scale(column Column) func(float64) float64 {
	least, most := math.Inf(1), 0.0
	for _, r := range c.rows {
		if v := column.value(c.session, r); v > 0 {
			least, most = min(least, v), max(most, v)
		}
	}
	if !c.view.Log {
		return func(v float64) float64 { return max(v, 0) / max(most, math.SmallestNonzeroFloat64) }
	}
	from := math.Log10(least) - 0.3 // so that the shortest bar can be seen
	return func(v float64) float64 {
		if v <= 0 {
			return 0
		}
		return (math.Log10(v) - from) / (math.Log10(most) - from)
	}
}

func (c *chart) barColor(r row) color.Color {
	switch role := c.view.role(r.library); {
	case role == library.Yardstick:
		return yardstickColor
	case role == library.Own && r.variant == "":
		return oursColor
	case role == library.Own:
		return variantColor
	default:
		return rivalColor
	}
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
