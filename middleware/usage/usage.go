package usage

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
)

// Usage is what a model API says that one response has cost, in tokens. No token is in two
// fields. A field is 0 if the API did not report it.
type Usage struct {
	// Input are tokens of the prompt, without those of CacheRead and CacheWrite.
	Input int64
	// Output are generated tokens, reasoning included.
	Output int64
	// CacheRead are tokens of the prompt that the API found in its prompt cache.
	CacheRead int64
	// CacheWrite are tokens of the prompt that the API stored in its prompt cache.
	CacheWrite int64
}

// Total returns the sum of all four fields: the whole prompt, cached or not, and the output.
// An API that charges less for cached tokens, or does not limit them, needs another sum.
func (u Usage) Total() int64 { return u.Input + u.Output + u.CacheRead + u.CacheWrite }

// Tokens returns Total as an int, and the largest int if that has 32 bits and Total does not fit.
func (u Usage) Tokens() int { return int(min(u.Total(), math.MaxInt)) }

// A Report is a function that receives the usage of one response. If ok is false, u is not
// complete: the response reported none, could not be read, or ended before its usage did. Then u
// is what was read, often nothing. Do not charge that in place of an estimate: a client that
// disconnects early chooses how much it is.
//
// It is called once for each response, on the goroutine that serves it, which waits for it.
// The context of r has ended if the client has disconnected: use [context.WithoutCancel] to
// charge the usage nevertheless. A panic of a Report is recovered and logged, so that the
// response stays whole. A nil Report reports nothing and leaves responses as they are.
type Report func(r *http.Request, u Usage, ok bool)

// call calls f. What f panics with is not logged, only its type: it might hold a key.
func (f Report) call(r *http.Request, u Usage, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			slog.Error("usage: the Report has panicked", "type", fmt.Sprintf("%T", v))
		}
	}()
	f(r, u, ok)
}
