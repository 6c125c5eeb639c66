package pace

import (
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// An evidence is what responses have shown of how a limit comes back: bit by bit, as
// in a bucket, or all at once at the end of a window. No single response proves it. A
// request that is not charged, such as one that is answered with 304 or asks for the
// limit itself, looks like a token that came back; so only what remains, and has
// become more, counts. It also does so, for a while, where several nodes of a server do
// not count alike; so more must have come back than ever before in this window. A denial
// before the end is what a bucket would not do.
type evidence struct {
	rises  int       // responses in which more remained than before, in one window
	first  reading   // the first response of the window
	full   int       // what remained then
	most   int       // the most that has come back since
	doubts int       // denials that contradicted them
	window bool      // it is one, although its server reports a bucket
	last   reading   // the response before
	left   int       // what remained then
	share  time.Time // when the first token was due after the last denial
	ends   time.Time // and the reset that came with it
	denied time.Time // when a denial last contradicted
}

const (
	// enoughRises make a bucket. Each denial that contradicts doubles that.
	enoughRises = 6
	maxDoubts   = 20
	// evidenceWithin is how far away a reset may be for what remains to be evidence.
	// Beyond that there is nothing to win: what remains of a bucket, spread over the time
	// until it is full, soon goes at the rate of the bucket. And to be wrong costs more.
	evidenceWithin = time.Minute
	// evidenceRounding is by how much a window may be over before the reset that was
	// told: both the time and the Date are rounded to seconds.
	evidenceRounding = 2 * time.Second
)

// refills reports whether the limit is a bucket. told is what its server says.
func (e *evidence) refills(told bool) bool {
	if told && !e.window {
		return true
	}
	return e.believed()
}

func (e *evidence) believed() bool { return e.rises >= enoughRises<<e.doubts }

// read takes a response into account. before is the reset that the last one reported.
func (e *evidence) read(t signals.Limit, r reading, before time.Time) {
	switch {
	case r.refused && t.Remaining == 0 && t.Reset > 0:
		e.deny(t, r)
	case !r.refused && e.last.number > 0 && r.now.Before(before):
		e.compare(t, r, before)
	case !r.refused: // the window is over, if it was one
		e.first, e.full, e.most = r, t.Remaining, 0
		if !e.believed() {
			e.rises = 0
		}
	}
	e.last, e.left = r, t.Remaining
}

// compare compares a response with those before it in the same window.
func (e *evidence) compare(t signals.Limit, r reading, before time.Time) {
	back := t.Remaining - e.full + int(r.number) - int(e.first.number) - r.unseen - e.first.after //nolint:gosec // counts of requests
	if back <= e.most {
		return
	}
	e.most = back
	if t.Remaining-e.left-r.unseen-e.last.after <= 0 || !sameWindow(t, r, before) {
		return
	}
	if e.rises = min(e.rises+1, enoughRises<<e.doubts); e.believed() {
		e.window = false
	}
}

// sameWindow reports whether what remains at r belongs to the window that ended at
// before, if it is one.
func sameWindow(t signals.Limit, r reading, before time.Time) bool {
	left := before.Sub(r.now)
	return left <= evidenceWithin && (left > evidenceRounding || left > 0 && t.Reset <= left)
}

// deny takes a denial into account. A bucket has a token again after its first share
// of the reset, unless others took it; a window has none before it ends.
func (e *evidence) deny(t signals.Limit, r reading) {
	again := !r.sent.Before(e.share) && r.now.Before(e.ends)
	if e.share.IsZero() || !r.now.Before(e.ends) || again {
		e.share, e.ends = r.now.Add(t.Next()), r.now.Add(t.Reset)
	}
	if !r.sent.After(e.denied) {
		return // it was under way
	}
	switch {
	case t.Refills && !again: // others may have used up what was there
	case e.believed():
		e.rises, e.doubts, e.denied = 0, min(e.doubts+1, maxDoubts), r.now
	case t.Refills:
		e.window, e.denied = true, r.now
	}
}
