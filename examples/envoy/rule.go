package main

import (
	"net/url"
	"slices"
	"strings"

	descriptorv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/common/ratelimit/v3"

	"github.com/keyrate/keyrate/ratelimit"
)

// A rule gives a limit to the descriptors that have its domain and its entries, in their order. The
// first rule of the table that fits counts; a descriptor that none fits is not limited.
type rule struct {
	domain  string
	entries []entry
	limit   ratelimit.Limit // a rate; its name must differ from those of other rules
}

// An entry of a descriptor. "" fits any value, and then the value is the limiter's key, or a part of
// it: see keyOf.
type entry struct{ name, value string }

// byAddress reports whether the limit is that of a client address.
func (r rule) byAddress() bool { return slices.Equal(r.entries, []entry{{"remote_address", ""}}) }

// fits reports whether the rule is for a descriptor.
func (r rule) fits(domain string, d *descriptorv3.RateLimitDescriptor) bool {
	return r.domain == domain && slices.EqualFunc(r.entries, d.GetEntries(), func(e entry, of *descriptorv3.RateLimitDescriptor_Entry) bool {
		return e.name == of.GetKey() && (e.value == "" || e.value == of.GetValue())
	})
}

// keyOf returns the limiter's key of a descriptor: the value of the entry that may have any. So an
// API key has the bucket that middleware.Header gives it. Several values are joined without
// ambiguity; without any, all descriptors share a bucket.
func (r rule) keyOf(d *descriptorv3.RateLimitDescriptor) string {
	var values []string
	for i, e := range r.entries {
		if e.value == "" {
			values = append(values, d.GetEntries()[i].GetValue())
		}
	}
	switch len(values) {
	case 0:
		return "all"
	case 1:
		return values[0]
	}
	for i := range values {
		values[i] = url.QueryEscape(values[i])
	}
	return strings.Join(values, "&")
}
