package ratelimit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/keyrate/keyrate/store"
)

// unlimitedText is the text form of [Unlimited].
const unlimitedText = "unlimited"

// ParsePolicy reads the text form of a policy: "unlimited", or one to four limits, as
// [ParseLimit] reads them, with commas between:
//
//	5/s    10/s, 1000/h;name=hourly    unlimited
//
// Spaces around a limit do not matter. The error joins a [LimitError] for each fault.
func ParsePolicy(s string) (*Policy, error) {
	if strings.TrimSpace(s) == unlimitedText {
		return Unlimited, nil
	}
	var limits []Limit
	var faults []error
	parts := strings.Split(s, ",")
	if len(parts) > store.MaxLimits { // what each of a thousand lacks is not worth telling
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
	texts := make([]string, len(p.written))
	for i := range p.written {
		texts[i] = p.written[i].String()
	}
	return strings.Join(texts, ", ")
}

// MarshalText implements [encoding.TextMarshaler] with the form of [Policy.String]. It
// refuses a policy that was not made with [NewPolicy]. There is no UnmarshalText, since
// a Policy never changes: use [ParsePolicy].
func (p *Policy) MarshalText() ([]byte, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("ratelimit: no text for this policy: %w", err)
	}
	return []byte(p.String()), nil
}
