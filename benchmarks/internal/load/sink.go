package load

import "net/http"

// A Sink is a ResponseWriter that costs as little as possible: it keeps the status and the
// headers, until Clear, and drops the body.
type Sink struct {
	header http.Header
	Status int
}

// NewSink returns an empty sink.
func NewSink() *Sink { return &Sink{header: http.Header{}} }

// Header returns the headers so far.
func (s *Sink) Header() http.Header { return s.header }

// WriteHeader keeps the status.
func (s *Sink) WriteHeader(status int) { s.Status = status }

// Write drops the body.
func (s *Sink) Write(b []byte) (int, error) { return len(b), nil }

// Clear forgets the status and the headers.
func (s *Sink) Clear() {
	clear(s.header)
	s.Status = 0
}

// Status returns what a denied call is answered with, or an allowed one.
func Status(denied bool) int {
	if denied {
		return http.StatusTooManyRequests
	}
	return http.StatusOK
}
