package transport

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// firstBackOff is the wait after a refusal that does not tell one. It doubles with
// each attempt of the same request.
const firstBackOff = time.Second

// refusal returns how long a response asks the caller to wait before the request is
// sent again, 0 if it is no refusal; and whether it was refused because of a limit,
// so that it has surely not been served.
func refusal(response *http.Response, l Limits, attempt int) (wait time.Duration, limited bool) {
	switch response.StatusCode {
	case http.StatusTooManyRequests:
	case http.StatusServiceUnavailable:
		return l.RetryAfter, false
	case http.StatusForbidden:
		// GitHub; others' 403 have to do with other things, whatever limits they tell.
		if l.RetryAfter == 0 && response.Header.Get("X-RateLimit-Remaining") != "0" {
			return 0, false
		}
	default:
		return 0, false
	}
	if wait = l.wait(); wait == 0 {
		wait = firstBackOff << min(attempt-1, 20)
	}
	return wait, true
}

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
