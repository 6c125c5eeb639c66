package transport

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// denial reports whether a response denies its request: by Denied, or by its status.
func (c Config) denial(response *http.Response, l signals.Limits) signals.Denial {
	d := signals.DenialOf(response, l)
	var wait time.Duration
	var denied bool
	if c.Denied != nil && try(func() { wait, denied = c.Denied(response) }) && denied {
		d.Denied, d.Limited = true, true
		if wait > 0 {
			d.Wait = min(wait, signals.MaxTime)
		}
	}
	return d
}

const (
	// maxKept is how much of a denial's body is read before the wait, in bytes. Once
	// all of it is read, the connection is free for others. Denials are small.
	maxKept = 64 << 10
	// keepTime is the longest time that reading it may take.
	keepTime = time.Second
)

// keepBody reads the body of a denial, which the caller may get in the end. The rest of a
// body that is too long or too slow stays on its connection. left is how long the caller
// has time.
func keepBody(ctx context.Context, response *http.Response, left time.Duration) {
	body := response.Body
	ctx, cancel := context.WithTimeout(ctx, min(keepTime, left))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = body.Close() })
	kept, err := io.ReadAll(io.LimitReader(body, maxKept+1))
	stop()
	if err == nil && len(kept) <= maxKept {
		_ = body.Close()
		response.Body = io.NopCloser(bytes.NewReader(kept))
		return
	}
	rest := io.Reader(body)
	if err != nil {
		rest = failed{err}
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(kept), rest), body}
}

// A failed reader repeats an error.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }
