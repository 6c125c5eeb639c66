package main

import (
	"fmt"
	"image/color"
	"math"
	"time"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// curves draw for each period how many keys a rate denies. Both axes are logarithmic.
type curves struct {
	keys  int
	lines []curve
	most  int // rate
}

// A curve is the share of keys that each rate per period denies.
type curve struct {
	period time.Duration
	rates  []int
	denied []int
}

var curveColors = []color.Color{
	color.RGBA{R: 0x0b, G: 0x6e, B: 0x8f, A: 0xff},
	color.RGBA{R: 0xd9, G: 0xa4, B: 0x41, A: 0xff},
	color.RGBA{R: 0x5b, G: 0x8c, B: 0x3e, A: 0xff},
	color.RGBA{R: 0x8a, G: 0x5a, B: 0xa8, A: 0xff},
}

func newCurves(of []demands) *curves {
	c := &curves{most: 10}
	for i, d := range of {
		line := curve{period: periods[i]}
		c.keys = 0
		for _, plan := range d.plans {
			c.keys += plan.Keys()
		}
		for n := 1; ; n = max(n+1, int(math.Min(float64(n)*1.04, math.MaxInt32))) {
			denied := 0
			for _, plan := range d.plans {
				denied += plan.Denied(n)
			}
			line.rates, line.denied = append(line.rates, n), append(line.denied, denied)
			if denied == 0 || n == math.MaxInt32 {
				c.most = max(c.most, n)
				break
			}
		}
		c.lines = append(c.lines, line)
	}
	return c
}

func (c *curves) height() vg.Length { return 190 }

func (c *curves) head() (title, note string) {
	return "Keys that have a request denied, by rate", "with a burst equal to the rate; both axes are logarithmic; the marked lines are 1 % and 0.1 % of keys"
}

func (c *curves) draw(canvas draw.Canvas, area vg.Rectangle) {
	lowest := math.Min(0.0005, 0.5/float64(c.keys)) // the share at the bottom
	x := func(rate int) vg.Length {
		return area.Min.X + vg.Length(math.Log(float64(rate))/math.Log(float64(c.most)))*(area.Max.X-area.Min.X)
	}
	y := func(share float64) vg.Length {
		return area.Min.Y + vg.Length(1-math.Log(math.Max(share, lowest))/math.Log(lowest))*(area.Max.Y-area.Min.Y)
	}
	for share := 1.0; share >= lowest; share /= 10 {
		across(canvas, area, y(share), fmt.Sprintf("%.4g %%", share*100))
	}
	for _, promised := range []float64{0.01, 0.001} {
		canvas.SetColor(faint)
		canvas.Fill(rectangle(area.Min.X, y(promised), area.Max.X-area.Min.X, 1))
	}
	across(canvas, area, area.Min.Y, "none")
	for rate := 1; rate <= c.most; rate *= 10 {
		below(canvas, area, x(rate), grouped(int64(rate)))
	}
	for i, line := range c.lines {
		var p vg.Path
		for j, rate := range line.rates {
			at := vg.Point{X: x(rate), Y: y(float64(line.denied[j]) / float64(c.keys))}
			if j == 0 {
				p.Move(at)
				continue
			}
			p.Line(vg.Point{X: at.X, Y: y(float64(line.denied[j-1]) / float64(c.keys))})
			p.Line(at)
		}
		canvas.SetColor(curveColors[i])
		canvas.SetLineWidth(1.6)
		canvas.Stroke(p)
		at := vg.Point{X: area.Max.X - 70, Y: area.Max.Y - 10 - vg.Length(i)*14}
		canvas.Fill(rectangle(at.X-14, at.Y-1, 10, 2))
		canvas.FillText(style(ink, labelSize, false, draw.XLeft), at, periodName(line.period))
	}
}

func periodName(d time.Duration) string {
	return map[time.Duration]string{time.Second: "per second", time.Minute: "per minute", time.Hour: "per hour", 24 * time.Hour: "per day"}[d]
}
