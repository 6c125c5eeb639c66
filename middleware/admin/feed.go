package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/health"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// A feed makes the events of all streams. The first stream that wants the event of a second
// makes it, and the others send the same bytes. While there are no streams, nothing runs.
type feed struct {
	handler *handler
	node    string // the name of the machine
	start   time.Time

	mu    sync.Mutex
	made  int64  // the second, counted from start, that event is about
	event []byte // as it is sent
	last  *metrics.Reading
	read  time.Time // when last was read

	health   atomic.Pointer[checked]
	checking atomic.Bool
}

// checked is what a check has shown.
type checked struct {
	report health.Report
	began  time.Time
}

func newFeed(h *handler) *feed {
	node, err := os.Hostname()
	if err != nil {
		node = "this node"
	}
	return &feed{handler: h, node: node, start: time.Now(), made: -1}
}

// untilNext returns how long it is until the next second begins.
func (f *feed) untilNext() time.Duration {
	return framePause - time.Since(f.start)%framePause
}

// frame returns the event of this second.
func (f *feed) frame() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if second := int64(now.Sub(f.start) / framePause); second != f.made {
		f.check(now)
		f.made, f.event = second, f.make(now)
	}
	return f.event
}

// make makes the event of now.
func (f *feed) make(now time.Time) []byte {
	frame := f.handler.state(now)
	frame.Node, frame.Since = f.node, f.start.UTC()
	frame.Health = f.known(now)
	if frame.Counted {
		f.count(frame, now)
	}
	body, err := json.Marshal(frame)
	if err != nil {
		panic("admin: a frame cannot be written as JSON")
	}
	var event bytes.Buffer
	event.Grow(len(body) + 32)
	event.WriteString("retry: 1000\ndata: ")
	event.Write(body)
	event.WriteString("\n\n")
	return event.Bytes()
}

// count adds what was counted since the last reading. There are no rates if that was long ago,
// because no stream has asked, or so short that they would be a matter of chance.
func (f *feed) count(to *frame, now time.Time) {
	since := now.Sub(f.read)
	if f.last != nil && since < framePause/2 {
		return
	}
	var reading *metrics.Reading
	if store.Try(func() { reading = metrics.Read(f.handler.limiter) }) != nil { // what the program's store shows
		f.handler.log(context.Background(), "admin: a Measure panicked")
	} else if f.last != nil && since < 3*framePause {
		to.count(f.last, reading, since)
	}
	f.last, f.read = reading, now
}

// How often the store is checked, and when a check without a result is itself one.
const (
	checkPause = 2 * framePause
	checkTime  = 3 * checkPause
)

// check makes real decisions, at most every two seconds, and keeps what they show. It does not
// wait for long: a store that hangs must not keep the events back.
func (f *feed) check(now time.Time) {
	if known := f.health.Load(); known != nil && now.Sub(known.began) < checkPause-framePause/2 || !f.checking.CompareAndSwap(false, true) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer f.checking.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), frameTime)
		defer cancel()
		f.health.Store(&checked{health.Check(ctx, f.handler.limiter), now})
	}()
	select { // usually it is quick
	case <-done:
	case <-time.After(framePause / 10):
	}
}

// known returns the health as of the last check, or nil before the first one has ended.
func (f *feed) known(now time.Time) *health.Report {
	known := f.health.Load()
	switch {
	case known == nil && now.Sub(f.start) < checkTime:
		return nil
	case known == nil || now.Sub(known.began) > checkTime:
		return &health.Report{Status: store.StatusFailed, Parts: []health.Part{}, Warnings: []string{"the last check of the store has not ended: it takes longer than it may"}}
	}
	return &known.report
}
