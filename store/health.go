package store

import (
	"context"
	"errors"
	"time"
)

// A Status sums up a [Health].
type Status string

// What a Health can be.
const (
	StatusOK       Status = "ok"       // every part decides as it should
	StatusDegraded Status = "degraded" // calls are decided, but not by every part
	StatusFailed   Status = "failed"   // no part that was tried decides
)

// Health is the result of [Check].
type Health struct {
	Status   Status
	Decides  string       // the part that decides now; "" if none does
	Parts    []PartHealth // each part of the store, tried on its own
	Warnings []string     // what an operator should look at, though decisions are made
}

// PartHealth is the health of one part of a store, tried on its own.
type PartHealth struct {
	Name   string
	OK     bool
	Class  string    // the class of its failure, "" if OK
	Since  time.Time // since when it is as it is; zero if not known
	Proved time.Time // when it last decided as it should; zero if never
}

// A Checker is a [Store] that consists of parts, or that knows more of its health than a
// decision shows: [Check] asks it instead of calling [Probe].
type Checker interface {
	Check(ctx context.Context) Health
}

// Check returns the health of s: what its own Check says if it is a [Checker], and else
// whether it passes a [Probe] whose steps take at most timeout each. If s panics, it
// has failed.
func Check(ctx context.Context, s Store, timeout time.Duration) (h Health) {
	checker, ok := s.(Checker)
	if !ok {
		return probed(ctx, s, timeout)
	}
	if Try(func() { h = checker.Check(ctx) }) != nil {
		return Health{Status: StatusFailed, Parts: []PartHealth{{Name: "store", Class: ClassPanic}}}
	}
	return h
}

// probed is Check for a store that is one part.
func probed(ctx context.Context, s Store, timeout time.Duration) Health {
	part := PartHealth{Name: "store"}
	var warnings []string
	err := Probe(ctx, Guard(s), "", timeout)
	if errors.Is(err, ErrOverflow) {
		warnings, err = []string{"the store is full: new keys share buckets"}, nil
	}
	if err != nil {
		part.Class = NewError(err, "").Class
		return Health{Status: StatusFailed, Parts: []PartHealth{part}}
	}
	part.OK, part.Proved = true, time.Now()
	return Health{Status: StatusOK, Decides: part.Name, Parts: []PartHealth{part}, Warnings: warnings}
}
