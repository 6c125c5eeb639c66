package middleware

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/middleware/internal/reply"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// deny answers a request that is not served.
func (h *handler) deny(w http.ResponseWriter, r *http.Request, call *gate.Call) {
	dst := w.Header()
	switch call.Outcome {
	case gate.NoKey:
		reply.Problem(dst)
		dst["Www-Authenticate"] = []string{h.config.Challenge} // a must: RFC 9110, 15.5.2
		respond(w, r, http.StatusUnauthorized, []byte(reply.NoKeyBody))
	case gate.Ambiguous:
		body := reply.TwoKeysBody
		if call.Err == gate.ErrAddresses { //nolint:errorlint // it is never wrapped
			body = reply.TwoAddressesBody
		}
		reply.Problem(dst)
		respond(w, r, http.StatusBadRequest, []byte(body))
	case gate.FailedClosed:
		reply.Unavailable(dst, call.Wait)
		respond(w, r, http.StatusServiceUnavailable, []byte(reply.UnavailableBody))
	case gate.Blocked:
		h.blocked(w, r, call)
	default:
		h.tooMany(w, r, call)
	}
}

// blocked answers a request whose key is blocked.
func (h *handler) blocked(w http.ResponseWriter, r *http.Request, call *gate.Call) {
	dst := w.Header()
	reply.Blocked(dst, call.Wait)
	if h.config.Denied != nil {
		linger(w, r)
		if h.denied(w, r, &call.Result) {
			return
		}
		reply.Blocked(dst, call.Wait) // Denied may have changed them
		delete(dst, "Content-Encoding")
		delete(dst, "Transfer-Encoding")
	}
	var space [256]byte
	respond(w, r, h.config.BlockedStatus, reply.AppendBlocked(space[:0], h.config.BlockedStatus, call.Wait))
}

// tooMany answers 429. Nothing is shared or locked while it writes: the reader may be
// slow, or gone.
func (h *handler) tooMany(w http.ResponseWriter, r *http.Request, call *gate.Call) {
	dst := w.Header()
	denial := h.reply.Denied(&call.Result, call.Wait)
	denial.SetHeaders(dst)
	if h.config.Denied != nil {
		linger(w, r)
		if h.denied(w, r, &call.Result) {
			return
		}
		denial.SetHeaders(dst) // Denied may have changed them
		delete(dst, "Content-Encoding")
		delete(dst, "Transfer-Encoding")
	}
	body, _ := bodies.Get().(*[384]byte)
	respond(w, r, http.StatusTooManyRequests, denial.AppendBody(body[:0]))
	bodies.Put(body) // a Writer must not keep what it is given: see io.Writer
}

// bodies are arrays for the body of a 429, nearly always long enough for one limit. A
// request has its own until the body is written.
var bodies = sync.Pool{New: func() any { return new([384]byte) }}

// denied calls Config.Denied, and reports whether it responded. A response that it aborts
// with http.ErrAbortHandler after it has begun stays aborted.
func (h *handler) denied(w http.ResponseWriter, r *http.Request, result *ratelimit.Result) bool {
	delete(w.Header(), "Content-Type") // that of the problem
	a := &answer{ResponseWriter: w}
	class, outcome := FaultDeniedPanic, "answered with the default"
	panicked := store.Try(func() { h.config.Denied(a, r, *result) })
	switch {
	case panicked != nil && a.begun:
		outcome = "left as it was written"
	case panicked == nil && a.begun:
		return true
	case panicked == nil:
		class = FaultDeniedSilent
	}
	h.gate.Report((*decisionContext)(r), class, outcome)
	if panicked != nil && panicked.Value == http.ErrAbortHandler && a.begun { //nolint:errorlint // net/http compares so, too
		panic(panicked.Value)
	}
	return a.begun
}

// respond writes a problem whose headers are set. A HEAD request gets the headers
// of a GET, Content-Length included, which net/http sets where there is a body.
func respond(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	linger(w, r)
	h := w.Header()
	if r.Method == http.MethodHead {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		w.WriteHeader(status)
		return
	}
	delete(h, "Content-Length") // an outer middleware's, of another body
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that hung up needs no answer
}
