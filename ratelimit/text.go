package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/internal/meant"
	"github.com/keyrate/keyrate/ratelimit/internal/text"
	"github.com/keyrate/keyrate/store"
)

// ParseLimit reads the text form of a limit: RATE/PERIOD, and optionally ;burst=N,
// ;name=NAME, ;shared, and ;shadow or ;enforce-from=DATE, a day (UTC) or an RFC 3339 time in
// whole seconds, or ;enforce-for=N%, a percentage of the keys, and ;lockout=N/PERIOD:PERIOD, a [Lockout].
// A limit on concurrent calls is N at a time, with the same options but
// ;burst. The period is a Go duration ("1m", "1.9s", "500ms"),
// as [time.ParseDuration] reads it, down to nanoseconds, a number of days ("7d"),
// or one of s, m, h, d for one of the unit:
//
//	5/s    100/1m    1000/24h;burst=50    1000/d;name=daily
//	1000/h;shadow    1000/h;enforce-from=2027-01-31    1000/h;enforce-for=10%    10 at a time
//	5/s;lockout=20/1m:10m
//
// The error is a [LimitError] that says what was found and what would be right,
// or several of them, joined; the limit of a nil error is valid. The error for a
// limit in another spelling, such as "5 per second" or "10,000/d", names the one to
// write.
func ParseLimit(s string) (Limit, error) {
	fail := func(want string) (Limit, error) {
		if written := wantMeant(s, true); written != "" {
			want = written
		}
		return Limit{}, &LimitError{Field: "text", Value: s, Want: want}
	}
	head, options, _ := strings.Cut(s, ";")
	if isBlock(s) {
		return fail(`must be a limit: "blocked" is no limit but a policy, and stands in front of the limits from its end on, as in "blocked;until=2026-12-04T18:00:00Z, 5/s"`)
	}
	var l Limit
	var err error
	var rate, period string
	if rate, l.Concurrent = strings.CutSuffix(head, atATime); !l.Concurrent {
		var found bool
		if rate, period, found = strings.Cut(head, "/"); !found {
			return fail(`must be RATE/PERIOD, such as "5/s", "100/1m" or "1000/24h;burst=50", or N at a time, such as "10 at a time"`)
		}
	}
	if !l.Concurrent && strings.HasSuffix(rate, atATime) {
		return fail(`must have no period: a limit on calls at a time has none, as in "10 at a time"`)
	}
	if l.Rate, err = text.ParseCount(rate); err != nil {
		such := "5/s"
		if l.Concurrent {
			such = "10 at a time"
		}
		return fail(fmt.Sprintf(`must begin with a whole number, from 1 to %d, such as %q`, int64(gcra.MaxRate), such))
	}
	if !l.Concurrent {
		if l.Period, err = text.ParsePeriod(period); err != nil {
			return fail(`must have a period of s, m, h, d, a number of days or a Go duration behind the slash, such as "5/s" or "100/1.5s"`)
		}
	}
	seen := map[string]bool{}
	for options != "" {
		var option string
		option, options, _ = strings.Cut(options, ";")
		name, value, _ := strings.Cut(option, "=")
		switch {
		case seen[name]:
			return fail(fmt.Sprintf("must not give %s twice", name))
		case name == "burst" && l.Concurrent:
			return fail(`must have no burst: a limit on calls at a time has none, as in "10 at a time;name=calls"`)
		case name == "burst":
			if l.Burst, err = text.ParseCount(value); err != nil || l.Burst == 0 {
				return fail(`must have a whole number of at least 1 as its burst, such as "1000/24h;burst=50"`)
			}
		case name == "name":
			if l.Name = value; value == "" {
				return fail(`must have a name behind name=, such as "5/s;name=daily", or leave ;name out`)
			}
		case option == "shared":
			l.Shared = true
		case option == "shadow":
			l.Shadow = true
		case name == "enforce-from":
			if l.EnforceFrom, err = text.ParseDate(value); err != nil {
				return fail(`must have a day or an RFC 3339 time in whole seconds as enforce-from, such as "1000/h;enforce-from=2027-01-31" or "1000/h;enforce-from=2027-01-31T09:00:00Z"`)
			}
			l.Shadow = true
		case name == "enforce-for":
			digits, percent := strings.CutSuffix(value, "%")
			if l.EnforceFor, err = text.ParseCount(digits); err != nil || !percent || l.EnforceFor < 1 || l.EnforceFor > 99 {
				return fail(`must have a percentage of the keys from 1% to 99% as enforce-for, such as "1000/h;enforce-for=10%"`)
			}
			l.Shadow = true
		case name == "lockout":
			var ok bool
			if l.Lockout, ok = parseLockout(value); !ok {
				return fail(wantLockout)
			}
		default:
			// By its number: the text may be a key in a wrong place, which only Value may hold.
			return fail(fmt.Sprintf(`may be followed only by ;burst=N, ;name=NAME, ;shared, ;shadow, ;enforce-from=DATE, ;enforce-for=N%% and ;lockout=N/PERIOD:PERIOD, such as "1000/24h;burst=50", and its part %d is none of them`, len(seen)+2))
		}
		seen[name] = true
	}
	if strings.HasSuffix(s, ";") {
		return fail("must not end with a semicolon")
	}
	if err := l.check(); err != nil {
		return Limit{}, err
	}
	return l, nil
}

// atATime follows the number of a limit on concurrent calls.
const atATime = " at a time"

// String returns the shortest text that [ParseLimit] reads back as the same
// limit, of those with one number, of at least 1, and one unit for the period: a
// whole number, or one with a fraction of seconds or milliseconds. A burst equal
// to the rate and the name that a limit has without one are left out. A limit that
// is not valid is printed all the same.
func (l Limit) String() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(l.Rate))
	if l.Concurrent {
		b.WriteString(atATime)
	}
	if !l.Concurrent || l.Period != 0 {
		b.WriteByte('/')
		b.WriteString(text.FormatPeriod(l.Period))
	}
	if l.Burst != 0 && l.Burst != l.Rate {
		b.WriteString(";burst=")
		b.WriteString(strconv.Itoa(l.Burst))
	}
	if l.Name != "" && l.Name != l.usualName() {
		b.WriteString(";name=")
		b.WriteString(l.Name)
	}
	if l.Shared {
		b.WriteString(";shared")
	}
	if l.EnforceFrom != 0 {
		b.WriteString(";enforce-from=")
		b.WriteString(text.FormatDate(l.EnforceFrom))
	}
	if l.EnforceFor != 0 {
		b.WriteString(";enforce-for=")
		b.WriteString(strconv.Itoa(l.EnforceFor))
		b.WriteByte('%')
	}
	if l.Shadow && l.EnforceFrom == 0 && l.EnforceFor == 0 {
		b.WriteString(";shadow")
	}
	if l.Lockout != (Lockout{}) {
		b.WriteString(";lockout=" + l.Lockout.String())
	}
	return b.String()
}

// MarshalText implements [encoding.TextMarshaler] with the form of
// [Limit.String]. It returns an error for a limit that is not valid.
func (l Limit) MarshalText() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	return []byte(l.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseLimit]. On an
// error l is left as it was.
func (l *Limit) UnmarshalText(b []byte) error {
	parsed, err := ParseLimit(string(b))
	if err == nil {
		*l = parsed
	}
	return err
}

// unlimitedText is the text form of [Unlimited].
const unlimitedText = "unlimited"

// ParsePolicy reads the text form of a policy: "unlimited", or one to four limits, as
// [ParseLimit] reads them, with commas between; or "blocked", as [ParseBlock] reads it, and
// behind it, if the block has an end, the policy from then on:
//
//	5/s    10/s, 1000/h;name=hourly    unlimited
//	blocked    blocked;until=2026-12-04T18:00:00Z;reason=chargeback, 5/s
//
// Spaces around a limit do not matter. The error joins a [LimitError] for each fault.
func ParsePolicy(s string) (*Policy, error) {
	if strings.TrimSpace(s) == unlimitedText {
		return Unlimited, nil
	}
	if head, rest, more := strings.Cut(s, ","); isBlock(head) {
		return parseBlocked(head, rest, more)
	}
	var limits []Limit
	var faults []error
	parts := strings.Split(s, ",")
	if len(parts) > store.MaxLimits { // one fault, not a thousand
		if want := wantMeant(s, false); want != "" { // 10,000/d has a comma, too
			return nil, &LimitError{Field: "text", Value: s, Want: want}
		}
		return nil, wrongCount(len(parts))
	}
	for _, text := range parts {
		text = strings.TrimSpace(text)
		if text == unlimitedText {
			faults = append(faults, &LimitError{Field: "text", Value: s, Want: `must be limits or "unlimited", not both`})
			continue
		}
		if isBlock(text) {
			faults = append(faults, &LimitError{Field: "text", Value: s, Want: `must have "blocked" once, in front of the limits`})
			continue
		}
		l, err := ParseLimit(text)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		limits = append(limits, l)
	}
	if len(faults) == 0 {
		return NewPolicy(limits...)
	}
	if want := wantMeant(s, false); want != "" { // of all of it, not of each part
		return nil, &LimitError{Field: "text", Value: s, Want: want}
	}
	return nil, errors.Join(faults...)
}

// String returns the text that [ParsePolicy] reads back as the same policy, of [Unlimited],
// too. That of a policy that was not made with [NewPolicy] cannot be read back.
func (p *Policy) String() string {
	switch p {
	case Unlimited:
		return unlimitedText
	case nil:
		return "no policy"
	}
	if p.block != nil {
		if p.block.then == nil {
			return p.block.String()
		}
		return p.block.String() + ", " + p.block.then.String()
	}
	texts := make([]string, len(p.written))
	for i := range p.written {
		texts[i] = p.written[i].String()
	}
	return strings.Join(texts, ", ")
}

// wantMeant returns what an error says should be written for a text; "" if that is not
// clear.
func wantMeant(s string, one bool) string {
	p := meantBy(s)
	switch {
	case p == nil:
		return ""
	case one && p == Unlimited:
		return ""
	case one && len(p.limits) > 1:
		return `must be one limit; ratelimit.ParsePolicy reads several, written "` + p.String() + `"`
	}
	return `must be written "` + p.String() + `"`
}

// meantBy returns the policy that a text means in a spelling of other libraries and
// servers; nil if it can mean nothing, or more than one thing. It holds nothing of s but
// numbers and usual names, so it can be shown where s cannot.
func meantBy(s string) (p *Policy) {
	for _, reading := range meant.Readings(s) {
		q := Unlimited
		if !reading.Unlimited {
			var limits []Limit
			for _, l := range reading.Limits {
				limits = append(limits, Limit{
					Name: l.Name, Rate: l.Rate, Period: l.Period, Burst: l.Burst, Concurrent: l.Concurrent, Shared: l.Shared, Shadow: l.Shadow, EnforceFrom: l.EnforceFrom,
				})
			}
			if q, _ = NewPolicy(limits...); q == nil {
				continue
			}
		}
		if p != nil && p.String() != q.String() {
			return nil
		}
		p = q
	}
	return p
}
