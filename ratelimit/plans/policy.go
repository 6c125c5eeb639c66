package plans

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// policy reads a policy: nil where there is a fault in it.
func (t *tableReader) policy(in, key string) (*ratelimit.Policy, error) {
	token, err := t.token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case string:
		return t.known(v, in, key, func() (*ratelimit.Policy, error) { return ratelimit.ParsePolicy(v) }), nil
	case json.Delim:
		if v == '[' {
			return t.policyOf(in, key)
		}
	}
	t.fault(placeOf(in, key), kindOf(token), `must be a text such as "5/s" or "unlimited", or an array of up to four such as ["50/s", "1000/h;name=hourly"]`)
	return nil, t.skip(token)
}

// policyOf reads a policy that is an array which has begun.
func (t *tableReader) policyOf(in, key string) (*ratelimit.Policy, error) {
	var texts []string
	count, faulty := 0, false
	for {
		token, err := t.token()
		if err != nil {
			return nil, err
		}
		if token == json.Delim(']') {
			break
		}
		if text, ok := token.(string); !ok {
			t.fault(placeOf(in, key), kindOf(token), `must be an array of texts such as "50/s"`)
			faulty = true
		} else if count < store.MaxLimits {
			texts = append(texts, text)
		}
		count++
		if err := t.skip(token); err != nil {
			return nil, err
		}
	}
	if count > store.MaxLimits {
		t.fault(placeOf(in, key), fmt.Sprintf("%d limits", count), fmt.Sprintf("must be 1 to %d", store.MaxLimits))
		faulty = true
	}
	p := t.known("\x00"+strings.Join(texts, "\x00"), in, key, func() (*ratelimit.Policy, error) {
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
	})
	if faulty {
		return nil, nil
	}
	return p, nil
}

// known returns the policy of a text, and makes it if it is new: of the faults that are
// found then, each is put down with the place.
func (t *tableReader) known(text, in, key string, parse func() (*ratelimit.Policy, error)) *ratelimit.Policy {
	if p := t.policies[text]; p != nil {
		return p
	}
	p, err := parse()
	if err == nil {
		t.policies[text] = p
		return p
	}
	for _, fault := range ratelimit.Faults(err) {
		at := placeOf(in, key)
		if fault.Field != "text" {
			at += "." + fault.Field
		}
		t.fault(at, shownValue(in, fault), fault.Want)
	}
	return nil
}

// longestWord is the length of the longest text that is shown though it does not begin as a
// limit does, such as "unlimitted". What is longer may be a key where limits belong.
const longestWord = 12

// shownValue returns the value of a fault where that cannot be a key: nothing of what
// stands under keys, where a key and its limits may have been swapped.
func shownValue(in string, fault *ratelimit.LimitError) any {
	text, isText := fault.Value.(string)
	rate, _, found := strings.Cut(text, "/")
	asLimit := found && len(rate) <= longestWord && text[0] >= '0' && text[0] <= '9'
	if in == "Keys" || isText && len(text) > longestWord && !asLimit {
		return nil
	}
	return fault.Value
}
