// Package health is the JSON form of the health of a limiter.
package health

import (
	"context"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A Report is a [store.Health]. It contains no key and no error text.
type Report struct {
	Status   store.Status `json:"status"`
	Decides  string       `json:"decides,omitempty"`
	Parts    []Part       `json:"parts"`
	Warnings []string     `json:"warnings,omitempty"`
}

// A Part is a [store.PartHealth].
type Part struct {
	Name   string    `json:"name"`
	OK     bool      `json:"ok"`
	Class  string    `json:"class,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	Proved time.Time `json:"proved,omitzero"`
}

// Check reports what limiter.Check returns. A store that panics has failed.
func Check(ctx context.Context, limiter *ratelimit.Limiter) Report {
	var h store.Health
	if store.Try(func() { h = limiter.Check(ctx) }) != nil {
		h = store.Health{Status: store.StatusFailed, Parts: []store.PartHealth{{Name: "store", Class: store.ClassPanic}}}
	}
	r := Report{Status: h.Status, Decides: h.Decides, Parts: []Part{}, Warnings: h.Warnings}
	for _, p := range h.Parts {
		r.Parts = append(r.Parts, Part{p.Name, p.OK, p.Class, p.Since.UTC(), p.Proved.UTC()})
	}
	return r
}
