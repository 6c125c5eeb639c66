package report

import (
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A timelineChart draws what callers saw while Redis failed and came back: above, who
// decided their calls, stacked; below, the slowest answer of each step.
type timelineChart struct{ steps []step }

// The measures of the chart, in points.
const (
	timelineWidth  = 720
	axisWidth      = 52 // for the figures at the left
	stackHeight    = 150
	latencyHeight  = 80
	phaseHeight    = 20 // for the names of the phases
	legendHeight   = 34
	timelineGap    = 26 // between the panels, with a heading
	timelineBottom = 20 // for the seconds
)

// stackColors are those of timelineSources.
var stackColors = [4]color.Color{
	oursColor,
	variantColor,
	color.RGBA{R: 0xd9, G: 0xa4, B: 0x41, A: 0xff},
	color.RGBA{R: 0xb0, G: 0x2a, B: 0x2a, A: 0xff},
}

// downColor lies behind the phases in which Redis does not answer.
var downColor = color.RGBA{R: 0xf4, G: 0xee, B: 0xe8, A: 0xff}

func (c *timelineChart) size() (width, height vg.Length) {
	return timelineWidth, 2*margin + titleHeight + legendHeight + phaseHeight + stackHeight + timelineGap + latencyHeight + timelineBottom
}

func (c *timelineChart) draw(canvas draw.Canvas) {
	width, height := c.size()
	canvas.SetColor(background)
	canvas.Fill(rectangle(0, 0, width, height))
	y := height - margin - titleSize/2
	canvas.FillText(style(ink, titleSize, true, draw.XLeft), vg.Point{X: margin, Y: y}, "What callers see while Redis hangs, dies and comes back empty")
	last := c.steps[len(c.steps)-1]
	note := fmt.Sprintf("every call is decided; %.0f were admitted, of at most %.0f that the limits allow", last.admitted, last.bound)
	if c.failed() > 0 {
		note = fmt.Sprintf("%.0f calls were not decided; %.0f were admitted, of at most %.0f", c.failed(), last.admitted, last.bound)
	}
	canvas.FillText(style(faint, valueSize, false, draw.XLeft), vg.Point{X: margin, Y: y - 17}, note)

	latencyTop := vg.Length(margin + timelineBottom + latencyHeight)
	stackTop := latencyTop + timelineGap + stackHeight
	c.legend(canvas, height-margin-titleHeight)
	c.phases(canvas, stackTop+phaseHeight, margin+timelineBottom)
	c.stack(canvas, stackTop)
	c.latency(canvas, latencyTop)
	c.seconds(canvas)
}

func (c *timelineChart) failed() float64 {
	sum := 0.0
	for _, s := range c.steps {
		sum += s.by[3]
	}
	return sum
}

// x returns where an instant is.
func (c *timelineChart) x(seconds float64) vg.Length {
	first, last := c.steps[0].from, c.steps[len(c.steps)-1].to
	return margin + axisWidth + vg.Length((seconds-first)/(last-first))*(timelineWidth-2*margin-axisWidth)
}

// legend names the colors, two to a line.
func (c *timelineChart) legend(canvas draw.Canvas, top vg.Length) {
	for i, source := range timelineSources {
		if source.column == "failed" && c.failed() == 0 {
			continue
		}
		x, y := vg.Length(margin+axisWidth+(i%2)*190), top-vg.Length(i/2)*16-2
		canvas.SetColor(stackColors[i])
		canvas.Fill(rectangle(x, y-4, 9, 9))
		canvas.FillText(style(ink, valueSize, false, draw.XLeft), vg.Point{X: x + 14, Y: y}, source.label)
	}
}

// phases marks the states of Redis, from the panels' bottom to above them.
func (c *timelineChart) phases(canvas draw.Canvas, top, bottom vg.Length) {
	for begin := 0; begin < len(c.steps); {
		end := begin
		for end < len(c.steps) && c.steps[end].redis == c.steps[begin].redis {
			end++
		}
		left, right := c.x(c.steps[begin].from), c.x(c.steps[end-1].to)
		if name := c.steps[begin].redis; !strings.HasPrefix(name, "well") && !strings.HasPrefix(name, "back") {
			canvas.SetColor(downColor)
			canvas.Fill(rectangle(left, bottom, right-left, top-bottom))
		}
		canvas.SetColor(rule)
		canvas.Fill(rectangle(left, bottom, 0.7, top-bottom))
		canvas.FillText(style(ink, labelSize, true, draw.XCenter), vg.Point{X: (left + right) / 2, Y: top - phaseHeight/2}, "Redis "+c.steps[begin].redis)
		begin = end
	}
}

// stack draws the decisions per second of each source, below top.
func (c *timelineChart) stack(canvas draw.Canvas, top vg.Length) {
	most := 0.0
	for _, s := range c.steps {
		sum := 0.0
		for _, n := range s.by {
			sum += n
		}
		most = max(most, sum/(s.to-s.from))
	}
	scale := axis(canvas, "decisions/s", top, stackHeight, most, 4)
	for _, s := range c.steps {
		y := top - stackHeight
		left, right := c.x(s.from), c.x(s.to)
		for i, n := range s.by {
			height := scale(n / (s.to - s.from))
			canvas.SetColor(stackColors[i])
			canvas.Fill(rectangle(left+0.6, y, right-left-1.2, height))
			y += height
		}
	}
}

// latency draws the slowest answer of each step as a line, below top, and says what it
// was at its highest.
func (c *timelineChart) latency(canvas draw.Canvas, top vg.Length) {
	highest := c.steps[0]
	for _, s := range c.steps {
		if s.most > highest.most {
			highest = s
		}
	}
	scale := axis(canvas, "slowest, ms", top, latencyHeight, highest.most*1.15, 3)
	var line vg.Path
	for i, s := range c.steps {
		at := vg.Point{X: c.x((s.from + s.to) / 2), Y: top - latencyHeight + scale(s.most)}
		if i == 0 {
			line.Move(at)
		} else {
			line.Line(at)
		}
	}
	canvas.SetColor(ink)
	canvas.SetLineWidth(1.4)
	canvas.Stroke(line)
	at := vg.Point{X: c.x((highest.from+highest.to)/2) + 6, Y: top - latencyHeight + scale(highest.most)}
	canvas.FillText(style(ink, valueSize, true, draw.XLeft), at, fmt.Sprintf("%.0f ms", highest.most))
}

// axis draws the heading of a panel and its figures at the left, and returns how high a
// value is.
func axis(canvas draw.Canvas, heading string, top, height vg.Length, most float64, figures int) func(float64) vg.Length {
	tick := math.Pow(10, math.Floor(math.Log10(most/float64(figures))))
	for _, times := range []float64{5, 2} {
		if tick*times*float64(figures) <= most {
			tick *= times
			break
		}
	}
	scale := func(v float64) vg.Length { return vg.Length(v/most) * height }
	canvas.FillText(style(faint, valueSize, false, draw.XLeft), vg.Point{X: margin, Y: top + 9}, heading)
	for v := 0.0; v <= most*1.001; v += tick {
		y := top - height + scale(v)
		canvas.SetColor(rule)
		canvas.Fill(rectangle(margin+axisWidth, y, timelineWidth-2*margin-axisWidth, 0.5))
		canvas.FillText(style(faint, valueSize, false, draw.XRight), vg.Point{X: margin + axisWidth - 6, Y: y}, fmt.Sprintf("%g", v))
	}
	return scale
}

// seconds draws the time below the panels.
func (c *timelineChart) seconds(canvas draw.Canvas) {
	first, last := c.steps[0].from, c.steps[len(c.steps)-1].to
	every := max(1, math.Round((last-first)/12))
	for t := math.Ceil(first); t <= last; t += every {
		canvas.FillText(style(faint, valueSize, false, draw.XCenter), vg.Point{X: c.x(t), Y: margin + timelineBottom - 9}, fmt.Sprintf("%g s", t))
	}
}
