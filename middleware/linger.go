package middleware

import (
	"io"
	"net/http"
)

// linger makes net/http deliver the response to a request whose body is not read, on a
// connection that ends with it: HTTP/1.0, as nginx uses for its upstreams by default,
// Connection: close, or Expect. The server would close such a connection at once, and the
// reset because of unread data can overtake the response; a proxy then sends a 502.
//
// After a body that is too large the server sends the response, ends its own side, and
// waits half a second before it closes (RFC 9112, section 9.6). So linger reports such a
// body, without reading: a client that sends slowly delays nothing. If w hides the
// server's ResponseWriter and has no Unwrap method, linger does nothing.
func linger(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 1 || r.ContentLength == 0 || !r.Close && r.Header.Get("Expect") == "" {
		return
	}
	for range maxWrappers {
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = inner.Unwrap()
	}
	_, _ = http.MaxBytesReader(w, tooLarge{}, 0).Read(make([]byte, 1))
}

// maxWrappers is how many ResponseWriters are unwrapped at most. One whose Unwrap returns
// itself would keep a processor busy for ever.
const maxWrappers = 100

// tooLarge is a body of one byte, one more than is allowed.
type tooLarge struct{}

func (tooLarge) Read(p []byte) (int, error) { return len(p), io.EOF }
func (tooLarge) Close() error               { return nil }
