package grpclimit

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/keyrate/keyrate/middleware/internal/pace"
	"github.com/keyrate/keyrate/middleware/internal/signals"
	"github.com/keyrate/keyrate/middleware/transport"
)

// A response is the end of an attempt.
type response struct {
	header, trailer metadata.MD
	err             error
}

// arrived reports whether the server has responded.
func (r *response) arrived() bool {
	if r.err == nil || len(r.header) > 0 || len(r.trailer) > 0 {
		return true
	}
	switch status.Code(r.err) {
	case codes.Canceled, codes.DeadlineExceeded, codes.Unavailable:
		return false
	}
	return true
}

// learn sets the pace. It returns how long to wait before the next attempt, 0 if the call was
// not denied, and whether the server wants none.
func (r *response) learn(p *pace.Pace, attempt pace.Attempt, attempts int) (wait time.Duration, final bool) {
	now := time.Now()
	limits := signals.Parse(r.fields(), now)
	denial := r.denial(limits)
	return p.Learn(attempt, limits, denial, attempts, now), denial.Final
}

// fields returns the header and the trailer as HTTP has them.
func (r *response) fields() http.Header {
	h := make(http.Header, len(r.header)+len(r.trailer))
	for _, md := range []metadata.MD{r.header, r.trailer} {
		for name, values := range md {
			h[http.CanonicalHeaderKey(name)] = values
		}
	}
	return h
}

// denial returns what the status says of the call. A server that does not say when to come back
// may have another reason for the same code, such as the size of a message.
func (r *response) denial(limits signals.Limits) (d signals.Denial) {
	s := status.Convert(r.err)
	if s.Code() != codes.ResourceExhausted && s.Code() != codes.Unavailable {
		return d
	}
	var asked time.Duration
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			asked = info.GetRetryDelay().AsDuration()
		}
	}
	var pushback time.Duration
	if values := r.trailer["grpc-retry-pushback-ms"]; len(values) > 0 {
		ms, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil || ms < 0 {
			return signals.Denial{Final: true} // of this call alone: others need not wait
		}
		pushback = time.Duration(min(ms, signals.MaxTime.Milliseconds())) * time.Millisecond
	}
	d.Wait = min(cmp.Or(max(asked, 0), pushback, limits.RetryAfter), signals.MaxTime)
	d.Denied = d.Wait > 0
	d.Limited = d.Denied && s.Code() == codes.ResourceExhausted
	return d
}

// A waitError is a [*transport.WaitError] with a status.
type waitError struct{ *transport.WaitError }

// GRPCStatus is for package status.
func (e *waitError) GRPCStatus() *status.Status {
	code := codes.ResourceExhausted
	if e.Deadline {
		code = codes.DeadlineExceeded
	}
	return status.New(code, e.Error())
}

// Unwrap returns the error in package transport.
func (e *waitError) Unwrap() error { return e.WaitError }

// credentials returns the credentials in metadata, in a form that is different for different
// sets of them.
func credentials(md metadata.MD) string {
	var all []string
	for name, values := range md {
		if name == "authorization" || strings.HasSuffix(name, "-key") || strings.HasSuffix(name, "-token") {
			for _, value := range values {
				all = append(all, strconv.Quote(name)+strconv.Quote(value))
			}
		}
	}
	slices.Sort(all)
	return strings.Join(all, "")
}
