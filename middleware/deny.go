package middleware

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// deny answers 429. Nothing is shared or locked while it writes: the reader may be
// slow, or gone.
func (g *gate) deny(w http.ResponseWriter, r *http.Request, key string, result *ratelimit.Result) {
	wait := result.RetryAfter
	if wait != ratelimit.Never {
		if g.places != nil {
			wait = g.places.wait(r, key, result)
		}
		wait = g.jittered(max(wait, time.Microsecond))
	}
	dst := w.Header()
	if len(dst) > 0 {
		delete(dst, HeaderReset) // an outer middleware's
	}
	words := g.wordings.of(result)
	ms := g.setDenied(dst, words, result, wait)
	if g.config.Denied != nil {
		linger(w, r)
		if g.denied(w, r, result) {
			return
		}
		ms = g.setDenied(dst, words, result, wait) // whatever Denied did to them
		delete(dst, "Content-Encoding")
		delete(dst, "Transfer-Encoding")
	}
	body, _ := bodies.Get().(*[384]byte)
	respond(w, r, http.StatusTooManyRequests, appendDenial(body[:0], words, result, ms))
	bodies.Put(body) // whoever is given bytes to write must not keep them: see io.Writer
}

// bodies are arrays for the body of a 429, long enough for one limit, mostly. A
// request has its own until the body is written.
var bodies = sync.Pool{New: func() any { return new([384]byte) }}

// setDenied sets the headers of a 429, and returns the wait in milliseconds as they
// tell it: "" if wait is ratelimit.Never, and waiting does not help.
func (g *gate) setDenied(dst http.Header, words *wording, result *ratelimit.Result, wait time.Duration) (ms string) {
	var space [128]byte
	l := make(lines, 0, 5) // as many as there can be
	setProblem(dst)
	if wait == ratelimit.Never {
		g.setLimits(dst, &l, words, result, space[:0], nil)
		return ""
	}
	b := strconv.AppendInt(space[:0], ceilSeconds(wait), 10)
	retry := b
	b = strconv.AppendInt(b, ceil(wait, time.Millisecond), 10)
	end := len(b)
	text := g.setLimits(dst, &l, words, result, b, retry)
	l.set(dst, HeaderRetryAfter, text[:len(retry)])
	l.set(dst, HeaderRetryAfterMs, text[len(retry):end])
	return text[len(retry):end]
}

// jittered adds the random part to a wait.
func (g *gate) jittered(wait time.Duration) time.Duration {
	if g.config.Jitter > 0 {
		wait += rand.N(g.config.Jitter + 1)
	}
	return wait
}

// denied lets Config.Denied answer, and tells whether it did.
func (g *gate) denied(w http.ResponseWriter, r *http.Request, result *ratelimit.Result) bool {
	delete(w.Header(), "Content-Type") // that of the problem
	a := &answer{ResponseWriter: w}
	returned := g.userDenied(a, r, result)
	if returned && !a.begun {
		g.faults.report(r.Context(), FaultDeniedSilent, "answered with the default")
	}
	return a.begun
}

// userDenied returns false if Config.Denied panicked. An answer that it aborts with
// http.ErrAbortHandler after it has begun stays aborted.
func (g *gate) userDenied(a *answer, r *http.Request, result *ratelimit.Result) (returned bool) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		outcome := "answered with the default"
		if a.begun {
			outcome = "left as it was written"
		}
		g.faults.report(r.Context(), FaultDeniedPanic, outcome)
		if v == http.ErrAbortHandler && a.begun { //nolint:errorlint // net/http compares so, too
			panic(v)
		}
	}()
	g.config.Denied(a, r, *result)
	return true
}
