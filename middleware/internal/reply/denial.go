package reply

import (
	"strconv"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// A Denial is the response to a denied call.
type Denial struct {
	state
	reply *Reply
	wait  time.Duration
	ms    string // wait in Retry-After-Ms
}

// Denied returns the response to a denied call. wait is the time until the client may come
// back, or gcra.Never.
func (p *Reply) Denied(r *ratelimit.Result, wait time.Duration) Denial {
	d := Denial{state: state{result: r}, reply: p, wait: wait}
	p.describe(&d.state)
	return d
}

// SetHeaders sets the headers of the response and of its body.
func (d *Denial) SetHeaders(h map[string][]string) {
	Problem(h)
	d.SetFields(h)
}

// SetFields sets the headers of the response that describe the limits and the wait.
func (d *Denial) SetFields(h map[string][]string) {
	if len(h) > 0 {
		delete(h, Reset) // an outer limiter's
	}
	var space [128]byte
	var f fields
	b, seconds := d.waits(&f, space[:0])
	end := len(b)
	text := string(d.reply.headers(h, &f, b, &d.state, seconds))
	f.set(h, d.reply.names, text)
	d.ms = text[len(seconds):end]
}

// EachField calls set for each header that SetFields sets, as EachAllowed does.
func (d *Denial) EachField(space []byte, set func(name int, value []byte)) {
	var f fields
	b, seconds := d.waits(&f, space[:0])
	d.ms = string(b[len(seconds):])
	d.reply.each(&f, b, &d.state, seconds, set)
}

// waits adds the headers that report the wait to f, and appends their values. seconds is the one of
// Retry-After, or nil if waiting does not help: then there are no headers.
func (d *Denial) waits(f *fields, b []byte) (all, seconds []byte) {
	if d.wait == gcra.Never {
		return b, nil
	}
	seconds = strconv.AppendInt(b, ceilSeconds(d.wait), 10)
	f.end(atRetryAfter, seconds)
	all = strconv.AppendInt(seconds, Milliseconds(d.wait), 10)
	f.end(atRetryAfterMs, all)
	return all, seconds
}

// AppendDetail appends a sentence or two for people. Call SetHeaders, SetFields or EachField before.
func (d *Denial) AppendDetail(b []byte) []byte {
	if d.wait == gcra.Never {
		return append(b, neverDetail...)
	}
	return append(appendWait(append(b, d.words.detail...), d.ms, d.wait), '.')
}

// Violated calls f for each limit that the call violates, the deciding one first.
func (d *Denial) Violated(f func(l ratelimit.Limit)) {
	for i, l := range d.words.limits {
		if i == 0 || d.limits[i].violated {
			f(l)
		}
	}
}

// Once returns what f has returned for the first denial by the same policy that violates the same
// limits. Callers of one Reply call it with the same f, maybe concurrently.
func (d *Denial) Once(f func() any) any {
	violated := 1
	for i := range d.words.limits {
		if d.limits[i].violated {
			violated |= 1 << i
		}
	}
	at := &d.words.once[violated]
	if found := at.Load(); found != nil {
		return *found
	}
	made := f()
	at.Store(&made)
	return made
}

// Milliseconds returns the wait in milliseconds as text, "" if waiting does not help. Call
// SetHeaders, SetFields or EachField before.
func (d *Denial) Milliseconds() string { return d.ms }

// AppendBody appends the body: constants, numbers and names of limits, which need no
// escapes in JSON. Call SetHeaders or EachField before.
func (d *Denial) AppendBody(b []byte) []byte {
	limits := d.words.limits
	b = d.AppendDetail(append(b, deniedHead...))
	b = append(b, `","violated-policies":[`...)
	b = appendString(b, limits[0].Name) // the deciding limit is violated
	for i := 1; i < len(limits); i++ {
		if d.limits[i].violated {
			b = appendString(append(b, ','), limits[i].Name)
		}
	}
	b = append(b, `],"limits":[`...)
	for i, object := range d.words.objects {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, object...)
		b = strconv.AppendInt(b, int64(d.limits[i].remaining), 10)
		b = append(b, '}')
	}
	if d.wait != gcra.Never {
		b = append(b, `],"retry_after_ms":`...)
		b = append(b, d.ms...)
		return append(b, "}\n"...)
	}
	most := limits[0].Burst // the highest cost that all limits can admit
	for _, l := range limits {
		if !l.Concurrent {
			most = min(most, l.Burst)
		}
	}
	b = append(b, `],"cost":`...)
	b = strconv.AppendInt(b, int64(d.result.Cost()), 10)
	b = append(b, `,"max_cost":`...)
	b = strconv.AppendInt(b, int64(most), 10)
	return append(b, "}\n"...)
}

// appendWait appends a wait, ms in milliseconds, for people: "200 ms" below a second, or else rounded up to a
// second, like Retry-After, and written as "1d2h3m4s".
func appendWait(b []byte, ms string, wait time.Duration) []byte {
	if len(ms) < len("1000") {
		return append(append(b, ms...), " ms"...)
	}
	seconds := ceilSeconds(wait)
	for _, unit := range []struct {
		size int64
		name byte
	}{{86_400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}} {
		if seconds >= unit.size {
			b = append(strconv.AppendInt(b, seconds/unit.size, 10), unit.name)
			seconds %= unit.size
		}
	}
	return b
}

// The beginning of the body of a 429, and the detail if waiting does not help.
const (
	deniedHead = `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",` +
		`"title":"Quota Exceeded","status":429,"detail":"`
	neverDetail = "The call costs more than the rate limit admits at once; waiting does not help."
)

// appendDetail appends the beginning of the detail, up to the wait.
func appendDetail(b []byte, l ratelimit.Limit) []byte {
	if !l.Concurrent {
		b = append(b, "Rate limit of "...)
	} else {
		b = append(b, "Limit of "...)
	}
	b = strconv.AppendInt(b, int64(l.Rate), 10)
	if l.Concurrent {
		b = append(b, " concurrent"...)
	}
	b = append(b, " request"...)
	if l.Rate != 1 {
		b = append(b, 's')
	}
	if !l.Concurrent {
		b = appendPeriod(append(b, " per "...), l.Period)
	}
	return append(b, " exceeded; retry after "...)
}

// appendObject appends the beginning of a limit's object, up to what remains.
func appendObject(b []byte, l ratelimit.Limit) []byte {
	b = append(b, `{"policy":`...)
	b = appendString(b, l.Name)
	b = append(b, `,"limit":`...)
	b = strconv.AppendInt(b, int64(l.Rate), 10)
	if l.Concurrent {
		return append(b, `,"unit":"`+ConcurrentUnit+`","remaining":`...)
	}
	b = append(b, `,"period":"`...)
	b = appendPeriod(b, l.Period)
	b = append(b, '"')
	if l.Burst != l.Rate {
		b = append(b, `,"burst":`...)
		b = strconv.AppendInt(b, int64(l.Burst), 10)
	}
	return append(b, `,"remaining":`...)
}
