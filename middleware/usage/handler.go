package usage

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// Handler returns a handler that serves next and calls f with the usage of its response when
// next has returned or panicked.
//
// The ResponseWriter of next passes the same bytes at the same time. It can be flushed and
// hijacked, and has ReadFrom, WriteString and Unwrap, so that an [http.ResponseController]
// works as without it. What next writes counts, even if the client has disconnected and
// does not get it. A stream without an event that ends it, such as [DONE], is complete only if
// next returns without a panic, every write has succeeded and the context of the request has not
// ended. A handler that compresses must be around this one, not inside it.
func (f Report) Handler(next http.Handler) http.Handler {
	if f == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		metered := &writer{ResponseWriter: w}
		returned := false
		defer func() {
			u, ok := metered.meter.usage(returned && !metered.failed && r.Context().Err() == nil)
			f.call(r, u, ok)
		}()
		next.ServeHTTP(metered, r)
		returned = true
	})
}

// A writer is a ResponseWriter with a meter.
type writer struct {
	http.ResponseWriter

	meter   meter
	started bool // the header is written
	failed  bool // a write has failed
}

// start makes the meter read the header, at the latest moment before it is written.
func (w *writer) start() {
	if !w.started {
		w.started = true
		w.meter.start(w.Header())
	}
}

// Unwrap is for [http.ResponseController].
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader writes the header. An informational one is not the last.
func (w *writer) WriteHeader(status int) {
	if status >= http.StatusOK {
		w.start()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write writes p.
func (w *writer) Write(p []byte) (int, error) {
	w.start()
	w.meter.feed(p)
	n, err := w.ResponseWriter.Write(p)
	return n, w.note(err)
}

// note notes whether a write has failed.
func (w *writer) note(err error) error {
	w.failed = w.failed || err != nil
	return err
}

// WriteString writes s without a copy of it as a whole.
func (w *writer) WriteString(s string) (int, error) {
	w.start()
	var piece [512]byte
	for rest := s; rest != "" && w.meter.format != unread; {
		n := copy(piece[:], rest)
		w.meter.feed(piece[:n])
		rest = rest[n:]
	}
	n, err := io.WriteString(w.ResponseWriter, s)
	return n, w.note(err)
}

// ReadFrom copies from source. A body that the meter does not read is sent as the underlying
// ResponseWriter does, such as with sendfile.
func (w *writer) ReadFrom(source io.Reader) (int64, error) {
	w.start()
	if w.meter.format != unread {
		source = &meteredReader{source, &w.meter}
	}
	n, err := io.Copy(w.ResponseWriter, source)
	return n, w.note(err)
}

// Flush is for handlers that ask for an [http.Flusher].
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is for [http.ResponseController].
func (w *writer) FlushError() error {
	w.start()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack is for handlers that ask for an [http.Hijacker].
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// A meteredReader passes what it reads to a meter.
type meteredReader struct {
	source io.Reader
	meter  *meter
}

func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p)
	r.meter.feed(p[:n])
	return n, err
}
