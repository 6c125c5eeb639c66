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

// How long a client may take to send a body.
const (
	keyBodyTime   = 10 * time.Second
	tableBodyTime = 5 * time.Minute
)

// body returns the body of the request if its headers say that it is JSON and has at most
// so many bytes. Otherwise it responds and returns nil. The body must be read at once.
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

// bodyWithin sets a deadline for the body. Without one, a server without a ReadTimeout
// waits for ever, even for a body that is not read, to keep the connection. A
// ResponseWriter that cannot set a deadline is not that of a network connection.
func (c *call) bodyWithin(d time.Duration) {
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(d))
}

// bodyRead removes the deadline when the body has been read to its end. It would cancel
// the request otherwise.
func (c *call) bodyRead() {
	_ = http.NewResponseController(c.w).SetReadDeadline(time.Time{})
}

// answerWithin extends the WriteTimeout of the server, which runs from the end of the
// request's headers: otherwise a table that takes longer to arrive would be in force and
// the response lost. Without a WriteTimeout, no deadline is set: it would outlast the
// request.
func (c *call) answerWithin(d time.Duration) {
	server, ok := c.r.Context().Value(http.ServerContextKey).(*http.Server)
	if ok && server.WriteTimeout > 0 && server.WriteTimeout < d {
		_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(d))
	}
}

const tooLarge = "The body is too large: at most 64 KiB about a key, at most 128 MiB for a table."

// bodyFailed responds to a request whose body could not be read.
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
