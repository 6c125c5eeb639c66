package file

import (
	"errors"
	"fmt"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
)

// policy reads limits. If secret, the text may be a key and is not shown. On a fault, policy
// returns nil.
func (b *builder) policy(n node, place func() string, secret bool) *ratelimit.Policy {
	switch n.kind {
	case kindText:
		if p, ok := b.policies[n.text]; ok {
			return p
		}
		p, err := parsePolicy(n.text)
		if err != nil {
			b.limitFaults(n, place, err, secret)
			return nil
		}
		b.policies[n.text] = p
		return p
	case kindList:
		return b.list(n, place, secret)
	case kindRejected:
		return nil
	}
	found := n.kind.String()
	if n.kind == kindNumber && !secret {
		found = "the number " + shown(n.text)
	}
	b.add(n.at, place(), found, wantLimits(n))
	return nil
}

// list reads a list of limits.
func (b *builder) list(n node, place func() string, secret bool) *ratelimit.Policy {
	var limits []ratelimit.Limit
	failed := false
	for i, item := range n.inside.items {
		at := func() string { return fmt.Sprintf("%s[%d]", place(), i) }
		if item.kind == kindRejected {
			failed = true
			continue
		}
		if item.kind != kindText {
			b.add(item.at, at(), item.kind.String(), "must be one limit, such as 5/s")
			failed = true
			continue
		}
		l, err := parseLimit(item.text)
		if err != nil {
			b.limitFaults(item, at, err, secret)
			failed = true
			continue
		}
		limits = append(limits, l)
	}
	if failed {
		return nil
	}
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		b.limitFaults(n, place, err, secret)
		return nil
	}
	return p
}

// parsePolicy and parseLimit reject spaces beyond ASCII, which the parsers would trim.
func parsePolicy(s string) (*ratelimit.Policy, error) {
	if err := checkLimitText(s); err != nil {
		return nil, err
	}
	return ratelimit.ParsePolicy(s)
}

func parseLimit(s string) (ratelimit.Limit, error) {
	switch word, _, _ := strings.Cut(strings.TrimSpace(s), ";"); word {
	case "blocked":
		return ratelimit.Limit{}, &ratelimit.LimitError{Field: "text", Value: s, Want: `must be a limit: blocked cannot be one of a list, and stands in one text with the limits from its end on, as in "blocked;until=2026-12-04T18:00:00Z, 5/s"`}
	case "unlimited":
		return ratelimit.Limit{}, &ratelimit.LimitError{Field: "text", Value: s, Want: "must be a limit: unlimited cannot be one of a list, and stands alone, as in staff: unlimited"}
	}
	if err := checkLimitText(s); err != nil {
		return ratelimit.Limit{}, err
	}
	return ratelimit.ParseLimit(s)
}

func checkLimitText(s string) error {
	for _, r := range s {
		if r >= 0x7f && r != 'µ' && r != 'μ' { // the two of "100/50µs"
			return &ratelimit.LimitError{Field: "text", Value: s, Want: "must be plain ASCII, such as 5/s"}
		}
	}
	return nil
}

// longestWord is the length up to which a text is shown that does not begin like a limit, such
// as "unlimitted". A longer one may be a key, in a list of keys in place of the limits of a plan.
const longestWord = 12

// asRate reports whether a text can be meant as the number of a limit: digits or words. A key
// in base64 mixes them.
func asRate(text string) bool {
	return len(text) <= longestWord && (strings.Trim(text, "0123456789,._' ") == "" ||
		!strings.ContainsAny(text, "0123456789") || strings.Contains(text, " "))
}

// limitFaults adds each fault of a limit or a policy.
func (b *builder) limitFaults(n node, place func() string, err error, secret bool) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			b.limitFaults(n, place, err, secret)
		}
		return
	}
	found, want := "what cannot be a limit", wantLimits(n)
	if fault, ok := errors.AsType[*ratelimit.LimitError](err); ok {
		text, isText := fault.Value.(string)
		switch {
		case !isText:
			found = fmt.Sprintf("%s %v", fault.Field, fault.Value)
		case fault.Field == "limits": // how many there are
			found = text
		case !secret && fault.Field == "text":
			if rate, _, ok := strings.Cut(strings.Replace(text, " at a time", "/", 1), "/"); ok && asRate(rate) || len(text) <= longestWord {
				found = shown(text)
			}
		case !secret:
			found = fault.Field + " " + shown(text)
		}
		if want == "" {
			want = forOperators.Replace(fault.Want)
		}
	}
	b.add(n.at, place(), found, want)
}

// forOperators replaces terms of programs by those of files.
var forOperators = strings.NewReplacer(
	" or ratelimit.PerSecond(5)", "", " or ratelimit.AtOnce(10)", "", "use ratelimit.Unlimited", "write unlimited", "use ratelimit.Blocked", "write blocked", `ratelimit.PerDay(1000).Named("daily")`, "1000/d;name=daily", " or time.Second", "", "ratelimit.ParsePolicy reads several, written", "several are written",
)

// wantLimits returns the advice for a node that is not the text of a limit; "" for one that is.
func wantLimits(n node) string {
	switch {
	case n.kind == kindText && n.text != "" && strings.Trim(n.text, "0123456789") != "", n.kind == kindList:
		return ""
	case n.kind == kindNumber, n.kind == kindText && n.text != "":
		return `must be a limit with its period, such as "5/s" or "100/1m"`
	}
	return `must be a limit such as "5/s", a list of limits that hold together, "unlimited" or "blocked"`
}
