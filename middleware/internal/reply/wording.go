package reply

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit"
)

// A wording is the text that responses about one policy have in common while the same one
// of its limits decides. It is written once, not for every request.
type wording struct {
	policies []string // RateLimit-Policy
	limit    []string // X-Rate-Limit-Limit
	detail   string   // the beginning of a 429 body
	objects  []string // the limits in that body, the deciding one first, up to what remains
	states   []string // the same in RateLimit
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

// worded is a policy with its wordings.
type worded struct {
	policy *ratelimit.Policy
	limits []ratelimit.Limit
	texts  []wording // texts[i] if limits[i] decides
}

// of returns the wording for a result that is not exempt.
func (w *wordings) of(r *ratelimit.Result) *wording {
	p := r.Policy()
	found := w.first.Load()
	if found == nil || found.policy != p {
		found = w.find(p)
	}
	i := 0
	for i < len(found.limits)-1 && found.limits[i].Name != r.Limit().Name {
		i++
	}
	return &found.texts[i]
}

// find looks up a policy that is not the first one, or writes its wordings.
func (w *wordings) find(p *ratelimit.Policy) *worded {
	if known, ok := w.all.Load(p); ok {
		if found, ok := known.(*worded); ok {
			return found
		}
	}
	limits := p.Limits()
	found := &worded{policy: p, limits: limits, texts: make([]wording, len(limits))}
	for i, l := range limits {
		words := wording{
			policies: []string{string(appendPolicyField(nil, limits, i))},
			limit:    []string{w.limitHeader(l)},
			detail:   string(appendDetail(nil, l)),
		}
		for j := range limits {
			switch { // the deciding one first
			case j == 0:
				j = i
			case j <= i:
				j--
			}
			words.objects = append(words.objects, string(appendObject(nil, limits[j])))
			words.states = append(words.states, string(appendState(nil, limits[j])))
		}
		found.texts[i] = words
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
	if w.period {
		return string(appendPeriod(nil, l.Period))
	}
	return strconv.Itoa(l.Burst)
}
