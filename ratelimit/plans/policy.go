package plans

import (
	"errors"
	"fmt"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/jsontext"
	"github.com/keyrate/keyrate/store"
)

// policy reads a policy that begins with v. It returns nil if there is a fault in it.
func (t *tableReader) policy(v jsontext.Value, in, key string) (*ratelimit.Policy, error) {
	switch v.Kind {
	case jsontext.Text:
		return t.known(v.Position, policyText{text: v.Text}, in, key, ratelimit.ParsePolicy), nil
	case jsontext.List:
		return t.policyOf(v.Position, in, key)
	}
	t.fault(v.Position, placeOf(in, key), kindOf(v), `must be a text such as "5/s" or "unlimited", or an array of up to four such as ["50/s", "1000/h;name=hourly"]`)
	return nil, t.in.Skip(v)
}

// policyOf reads the limits of an array that has begun.
func (t *tableReader) policyOf(at jsontext.Position, in, key string) (*ratelimit.Policy, error) {
	var texts []string
	count, faulty := 0, false
	err := t.in.Items(func(v jsontext.Value) error {
		if v.Kind != jsontext.Text {
			t.fault(v.Position, placeOf(in, key), kindOf(v), `must be an array of texts such as "50/s"`)
			faulty = true
		} else if count < store.MaxLimits {
			texts = append(texts, strings.Clone(v.Text))
		}
		count++
		return t.in.Skip(v)
	})
	if err != nil {
		return nil, err
	}
	if count > store.MaxLimits {
		t.fault(at, placeOf(in, key), fmt.Sprintf("%d limits", count), fmt.Sprintf("must be 1 to %d", store.MaxLimits))
		faulty = true
	}
	p := t.known(at, policyText{true, fmt.Sprintf("%q", texts)}, in, key, func(string) (*ratelimit.Policy, error) { return parseLimits(texts) })
	if faulty {
		return nil, nil
	}
	return p, nil
}

func parseLimits(texts []string) (*ratelimit.Policy, error) {
	var limits []ratelimit.Limit
	var faults []error
	for _, text := range texts {
		l, err := ratelimit.ParseLimit(text)
		limits, faults = append(limits, l), append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return ratelimit.NewPolicy(limits...)
}

// A policyText is how a policy is written: a text, or the texts of a list in quotes.
type policyText struct {
	list bool
	text string
}

// known returns the policy of a text. It parses a new one, and notes each fault with its place.
func (t *tableReader) known(at jsontext.Position, text policyText, in, key string, parse func(string) (*ratelimit.Policy, error)) *ratelimit.Policy {
	if p := t.policies[text]; p != nil {
		return p
	}
	text.text = strings.Clone(text.text) // a part of it may be kept: the name of a limit, or the value of a fault
	p, err := parse(text.text)
	if err == nil {
		t.policies[text] = p
		return p
	}
	for _, fault := range ratelimit.Faults(err) {
		field := placeOf(in, key)
		if fault.Field != "text" {
			field += "." + fault.Field
		}
		t.fault(at, field, shownValue(in, fault), fault.Want)
	}
	return nil
}

// longestWord is the length up to which a text is shown that does not begin like a limit, such
// as "unlimitted". A longer one may be a misplaced key.
const longestWord = 12

// longestLimit is the length up to which a text is shown that begins with a number and a slash
// or "at a time".
const longestLimit = 64

// shownValue returns the value of a fault unless it may be a key. Under keys, also those of an
// organisation, where a key and its limits may have been swapped, it returns nil.
func shownValue(in string, fault *ratelimit.LimitError) any {
	text, isText := fault.Value.(string)
	rate, _, found := strings.Cut(strings.Replace(text, " at a time", "/", 1), "/")
	asLimit := found && len(rate) <= longestWord && len(text) <= longestLimit && strings.Trim(rate, "0123456789,._' ") == ""
	if strings.HasSuffix(in, "Keys") || isText && len(text) > longestWord && !asLimit {
		return nil
	}
	return fault.Value
}
