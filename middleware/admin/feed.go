package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/health"
	"github.com/keyrate/keyrate/ratelimit/metrics"
)

// A feed makes the events of all streams. The first stream that wants the event of a second
// makes it, and the others send the same bytes. While there are no streams, nothing runs.
type feed struct {
	handler *handler
	start   time.Time

	mu    sync.Mutex
	made  int64  // the second, counted from start, of which event is
	event []byte // as it is sent
	last  *metrics.Reading
	read  time.Time // when last was read

	health   atomic.Pointer[health.Report]
	checking atomic.Bool
}

func newFeed(h *handler) *feed { return &feed{handler: h, start: time.Now(), made: -1} }

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
		f.check(second)
		f.made, f.event = second, f.make(now)
	}
	return f.event
}

// make makes the event of now.
func (f *feed) make(now time.Time) []byte {
	frame := f.handler.state(now)
	frame.Health = f.health.Load()
	if frame.Counted {
		reading := metrics.Read(f.handler.limiter)
		if since := now.Sub(f.read); f.last != nil && since < 3*framePause { // else no stream has asked for a while
			frame.count(f.last, reading, since)
		}
		f.last, f.read = reading, now
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

// check makes real decisions, every second second, and keeps what they show. It does not wait
// for them: a store that hangs must not keep the events back.
func (f *feed) check(second int64) {
	if known := f.health.Load(); known != nil && second%2 != 0 || !f.checking.CompareAndSwap(false, true) {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer f.checking.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), frameTime)
		defer cancel()
		report := health.Check(ctx, f.handler.limiter)
		f.health.Store(&report)
	}()
	select { // usually it is quick
	case <-done:
	case <-time.After(framePause / 10):
	}
}
