package transport

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

const (
	// maxKept is how much of a refusal's body is read before the wait: with all of
	// it read, the connection is free for others. Refusals are small.
	maxKept = 64 << 10
	// keepTime is how long that may take, if there is so much time.
	keepTime = time.Second
)

// keep reads the body of a refusal, which the caller may get after all. One that is
// too long or too slow is left to be read on, on its connection; left is how long
// the caller has time.
func keep(ctx context.Context, response *http.Response, left time.Duration) {
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
