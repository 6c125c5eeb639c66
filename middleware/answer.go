package middleware

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// An answer is the ResponseWriter of Config.Denied. It records whether a response has
// begun: then the problem must not follow. The wrapped handler never gets it. Its other
// methods are those that http.ResponseController looks for.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.ResponseWriter.WriteHeader(status)         // it panics if there is no such status
	a.begun = a.begun || status >= http.StatusOK // the others are informational
}

func (a *answer) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

func (a *answer) FlushError() error {
	a.begun = true
	return a.controller().Flush()
}

func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := a.controller().Hijack()
	a.begun = a.begun || err == nil
	return conn, rw, err
}

func (a *answer) SetReadDeadline(t time.Time) error  { return a.controller().SetReadDeadline(t) }
func (a *answer) SetWriteDeadline(t time.Time) error { return a.controller().SetWriteDeadline(t) }
func (a *answer) EnableFullDuplex() error            { return a.controller().EnableFullDuplex() }

func (a *answer) controller() *http.ResponseController {
	return http.NewResponseController(a.ResponseWriter)
}
