package main

import (
	"fmt"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// A timeline draws the requests of a log over time, and those that a candidate denies.
type timeline struct{ candidate }

func (t *timeline) height() vg.Length { return 90 }

func (t *timeline) head() (title, note string) {
	return t.name, fmt.Sprintf("denies %s of requests (dark) and %s of keys; the requests of each %s", share(t.Denied, t.Requests), share(int64(t.KeysDenied), int64(t.Keys)), span(t.Every))
}

func (t *timeline) draw(canvas draw.Canvas, area vg.Rectangle) {
	most := int64(1)
	for _, s := range t.Steps {
		most = max(most, s.Requests)
	}
	y := func(n int64) vg.Length { return vg.Length(float64(n)/float64(most)) * (area.Max.Y - area.Min.Y) }
	across(canvas, area, area.Min.Y, "0")
	across(canvas, area, area.Max.Y, grouped(most))
	width := (area.Max.X - area.Min.X) / vg.Length(len(t.Steps))
	labels := max(1, len(t.Steps)/8)
	for i, s := range t.Steps {
		x := area.Min.X + vg.Length(i)*width
		canvas.SetColor(calmColor)
		canvas.Fill(rectangle(x+width*0.1, area.Min.Y, width*0.8, y(s.Requests)))
		canvas.SetColor(deniedColor)
		canvas.Fill(rectangle(x+width*0.1, area.Min.Y, width*0.8, y(s.Denied)))
		if i%labels == 0 {
			below(canvas, area, x, s.From.Format(t.layout()))
		}
	}
}

// layout returns how the times of steps are written: those of days without the time of day.
func (t *timeline) layout() string {
	first, last := t.Steps[0].From, t.Steps[len(t.Steps)-1].From
	switch {
	case last.Sub(first).Hours() >= 7*24:
		return "2 Jan"
	case first.YearDay() != last.YearDay():
		return "2 Jan 15:04"
	case t.Every.Seconds() < 60:
		return "15:04:05"
	}
	return "15:04"
}
