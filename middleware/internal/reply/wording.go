package reply

import (
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A wording is the text that responses about one policy have in common while the same one
// of its limits decides. It is written once, not for every request.
type wording struct {
	limits   []ratelimit.Limit // the deciding one first
	rates    []store.Limit     // the same, compiled
	policies []string          // RateLimit-Policy
	counts   [][]string        // of limits, X-Rate-Limit-Limit
	items    []string          // of limits in RateLimit, up to what remains
	detail   string            // the beginning of the detail of a 429
	objects  []string          // of limits in that body, up to what remains

	once [1 << store.MaxLimits]atomic.Pointer[any] // by the limits that are violated: see Denial.Once
}

// maxWordings bounds the memory of a program that makes new policies all the time.
const maxWordings = 1000

// wordings are the wordings of policies, one for each limit that may decide. The zero value
// is ready to use.
type wordings struct {
	period bool                   // in X-Rate-Limit-Limit
	first  atomic.Pointer[worded] // most programs have only one policy
	all    sync.Map               // *ratelimit.Policy to *worded
	count  atomic.Int64
}

// worded is a policy with its wordings, one for each limit that may decide.
type worded struct {
	policy *ratelimit.Policy
	texts  []wording
}

// of returns the wordings of a policy, one for each limit that may decide.
func (w *wordings) of(p *ratelimit.Policy) []wording {
	found := w.first.Load()
	if found == nil || found.policy != p {
		found = w.find(p)
	}
	return found.texts
}

// find looks up a policy that is not the first one, or writes its wordings.
func (w *wordings) find(p *ratelimit.Policy) *worded {
	if known, ok := w.all.Load(p); ok {
		if found, ok := known.(*worded); ok {
			return found
		}
	}
	found := &worded{policy: p, texts: make([]wording, len(p.Limits()))}
	for i, l := range p.Limits() {
		limits := slices.Insert(slices.Delete(p.Limits(), i, i+1), 0, l)
		rates := slices.Insert(slices.Delete(slices.Clone(p.Compiled()), i, i+1), 0, p.Compiled()[i])
		words := &found.texts[i]
		words.limits, words.rates = limits, rates
		words.policies = []string{string(appendPolicyField(nil, rates))}
		words.detail = string(appendDetail(nil, l))
		for _, l := range limits {
			words.counts = append(words.counts, []string{w.limitHeader(l)})
			words.items = append(words.items, string(appendItem(nil, l)))
			words.objects = append(words.objects, string(appendObject(nil, l)))
		}
	}
	if w.count.Add(1) > maxWordings {
		w.all.Clear()
		w.count.Store(1)
	}
	w.all.Store(p, found)
	w.first.CompareAndSwap(nil, found)
	return found
}

// limitHeader returns the value of X-Rate-Limit-Limit.
func (w *wordings) limitHeader(l ratelimit.Limit) string {
	if w.period && !l.Concurrent {
		return string(appendPeriod(nil, l.Period))
	}
	return strconv.Itoa(l.Burst)
}
