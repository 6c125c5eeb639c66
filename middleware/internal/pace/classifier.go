package pace

import (
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// A classifier decides from responses whether a limit is a bucket, which refills all the
// time, or a window, which comes back at its end. No single response proves a bucket. A
// request that is not charged, such as one answered with 304, looks like a token that came
// back, and so does a server whose nodes count apart for a while. So only a response with
// more remaining than before counts, and only if more has come back than ever before in
// this window. A denial before the end contradicts a bucket.
type classifier struct {
	rises   int         // responses with more remaining than before, in one window
	first   observation // of the window
	atFirst int         // what remained then
	most    int         // the most that has come back since
	doubts  int         // denials that contradicted
	window  bool        // it is one, although its server reports a bucket
	last    observation
	atLast  int       // what remained then
	due     time.Time // of the first token after the last denial
	ends    time.Time // the reset that this denial reported
	denied  time.Time // when a denial contradicted last
}

const (
	// enoughRises show a bucket. Each denial that contradicts doubles the number.
	enoughRises = 6
	maxDoubts   = 20
	// classifyWithin is the longest time to a reset for which responses are evidence.
	// Beyond it, a window is the safer error: what remains of a bucket, spread over the
	// time until it is full, soon goes at the rate of the bucket.
	classifyWithin = time.Minute
	// resetRounding is by how much a window may end before its reported reset: both the
	// reset and the Date are rounded to seconds.
	resetRounding = 2 * time.Second
)

// isBucket reports whether the limit is a bucket. reported is what its server says.
func (c *classifier) isBucket(reported bool) bool {
	return reported && !c.window || c.rises >= enoughRises<<c.doubts
}

// learn takes a response into account. before is the reset that the last one reported.
func (c *classifier) learn(t signals.Limit, o observation, before time.Time) {
	switch {
	case o.denied && t.Remaining == 0 && t.Reset > 0:
		c.learnDenial(t, o)
	case !o.denied && c.last.number > 0 && o.now.Before(before):
		c.compare(t, o, before)
	case !o.denied: // the window is over, if it was one
		c.first, c.atFirst, c.most = o, t.Remaining, 0
		if !c.isBucket(false) {
			c.rises = 0
		}
	}
	c.last, c.atLast = o, t.Remaining
}

// compare compares a response with those before it in the same window.
func (c *classifier) compare(t signals.Limit, o observation, before time.Time) {
	back := t.Remaining - c.atFirst + int(o.number) - int(c.first.number) - o.unseen - c.first.after //nolint:gosec // counts of requests
	if back <= c.most {
		return
	}
	c.most = back
	if t.Remaining-c.atLast-o.unseen-c.last.after <= 0 || !sameWindow(t, o, before) {
		return
	}
	if c.rises = min(c.rises+1, enoughRises<<c.doubts); c.isBucket(false) {
		c.window = false
	}
}

// sameWindow reports whether a response belongs to the window that ends at before, if it
// is one.
func sameWindow(t signals.Limit, o observation, before time.Time) bool {
	left := before.Sub(o.now)
	return left <= classifyWithin && (left > resetRounding || left > 0 && t.Reset <= left)
}

// learnDenial takes a denial into account. A bucket has a token again when the first one
// is due, unless others took it; a window has none before it ends.
func (c *classifier) learnDenial(t signals.Limit, o observation) {
	again := !o.sent.Before(c.due) && o.now.Before(c.ends)
	if c.due.IsZero() || !o.now.Before(c.ends) || again {
		c.due, c.ends = o.now.Add(t.Next()), o.now.Add(t.Reset)
	}
	if !o.sent.After(c.denied) {
		return // it was under way
	}
	switch {
	case t.Refills && !again: // others may have used up what was there
	case c.isBucket(false):
		c.rises, c.doubts, c.denied = 0, min(c.doubts+1, maxDoubts), o.now
	case t.Refills:
		c.window, c.denied = true, o.now
	}
}
