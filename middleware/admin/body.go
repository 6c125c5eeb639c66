package admin

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strings"
	"time"
)

// How large a body may be, in bytes. A table of a million keys takes about 90 MB.
const (
	MaxKeyBody   = 64 << 10
	MaxTableBody = 128 << 20
)

// How long a caller may take to send one.
const (
	keyBodyTime   = 10 * time.Second
	tableBodyTime = 5 * time.Minute
)

// body returns the request's body, if it says that it is JSON and of at most so many
// bytes. Otherwise it answers, and returns nil. What it returns is to be read at once.
func (c *call) body(most int64, within time.Duration) io.ReadCloser {
	mediaType, parameters, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	charset, given := parameters["charset"]
	if err != nil || mediaType != "application/json" || given && !strings.EqualFold(charset, "utf-8") || c.r.Header.Get("Content-Encoding") != "" {
		c.problem(http.StatusUnsupportedMediaType, "The body must be JSON in UTF-8, uncompressed, with Content-Type: application/json.")
		return nil
	}
	if c.r.ContentLength > most {
		c.problem(http.StatusRequestEntityTooLarge, tooLarge)
		return nil
	}
	c.bodyWithin(within)
	return http.MaxBytesReader(c.w, c.r.Body, most)
}

// bodyWithin ends the wait for a body: a server without deadlines of its own waits for
// ever, also for a body that nobody reads, to keep the connection. What cannot set a
// deadline is no network connection.
func (c *call) bodyWithin(d time.Duration) {
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(d))
}

// bodyRead is to be called when the body has been read to its end: the deadline would end
// the request, however long it takes to answer it.
func (c *call) bodyRead() {
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
}

// answerWithin lets the answer come so late. The WriteTimeout of a server runs since the
// head of the request was read: the table that took longer to come would be in force, and
// the answer lost. Where there is none, nothing is set: it would outlast the request.
func (c *call) answerWithin(d time.Duration) {
	server, ok := c.r.Context().Value(http.ServerContextKey).(*http.Server)
	if ok && server.WriteTimeout > 0 && server.WriteTimeout < d {
		_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(d))
	}
}

const tooLarge = "The body is too large: at most 64 KiB about a key, at most 128 MiB for a table."

// bodyFailed answers a request whose body could not be read.
func (c *call) bodyFailed(err error) {
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		c.problem(http.StatusRequestEntityTooLarge, tooLarge)
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.problem(http.StatusRequestTimeout, "The body did not come in time.")
	default:
		c.problem(http.StatusBadRequest, "The body did not come as a whole.")
	}
}
