package pace

import "time"

// An rtt has the round-trip times of recent requests. A bucket with room for one token
// denies a request that arrives slightly early and loses a token to one that is late, so
// its limiter must know them well.
type rtt struct {
	shortest time.Duration
	mean     time.Duration
	longest  time.Duration // decays; at most maxLongest
	n        int           // of responses, up to manyResponses
}

const (
	// enoughResponses show how much round trips vary; manyResponses is the window of the mean.
	enoughResponses, manyResponses = 16, 64
	// slowly is how many responses it takes until a longer round trip is believed.
	slowly = 1024
	// maxLongest is the longest time in which a request may reach the server. One whose
	// response takes longer has most likely been counted long before.
	maxLongest = time.Second
)

func (r *rtt) add(took time.Duration) {
	r.longest = min(max(took, r.longest-r.longest/16), maxLongest)
	if r.n == 0 {
		r.shortest, r.mean = took, took
	}
	r.n = min(r.n+1, manyResponses)
	r.mean += (took - r.mean) / time.Duration(r.n)
	r.shortest = min(took, r.shortest+(took-r.shortest)/slowly)
}

// least returns a lower bound, with a margin that grows with the variation.
func (r *rtt) least() time.Duration {
	if r.n < enoughResponses {
		return r.shortest / 2
	}
	return max(r.shortest-r.variation()/3, 0)
}

// variation returns by how much round trips differ, with half of that added: the shortest
// one seen is longer than the shortest possible.
func (r *rtt) variation() time.Duration {
	if r.n < enoughResponses {
		return r.mean / 2
	}
	return max(r.mean-r.shortest, 0) * 3 / 2
}
