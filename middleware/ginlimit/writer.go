package ginlimit

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// A writer is the ResponseWriter of handlers whose price depends on the response. That of gin
// keeps the status, which may change until the response begins, and the one of the door must see the
// final one only.
type writer struct {
	gin.ResponseWriter

	door http.ResponseWriter // writes to the one of gin
}

// A settling is a chain with a writer.
type settling gin.Context

// ServeHTTP goes on with the request and the writer of the door.
func (h *settling) ServeHTTP(door http.ResponseWriter, r *http.Request) {
	c := (*gin.Context)(h)
	w := &writer{c.Writer, door}
	c.Request, c.Writer = r, w
	defer func() { c.Writer = w.ResponseWriter }()
	c.Next()
	w.begin() // gin sends this status when all handlers have returned
}

// begin is called before the response begins.
func (w *writer) begin() {
	if !w.Written() {
		w.door.WriteHeader(w.Status())
	}
}

func (w *writer) WriteHeaderNow() {
	w.begin()
	w.ResponseWriter.WriteHeaderNow()
}

func (w *writer) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

func (w *writer) WriteString(s string) (int, error) {
	w.begin()
	return w.ResponseWriter.WriteString(s)
}

func (w *writer) Flush() {
	w.begin()
	w.ResponseWriter.Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h, ok := w.door.(http.Hijacker); ok {
		return h.Hijack()
	}
	return w.ResponseWriter.Hijack()
}

// Unwrap is for [http.ResponseController], which sets deadlines and more.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
