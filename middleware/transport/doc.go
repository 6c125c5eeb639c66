// Package transport keeps to the limits of the APIs that a program calls: an
// http.RoundTripper that reads what responses tell of limits, spaces requests out
// before they are refused, and waits as told when they are.
//
//	t, err := transport.New(http.DefaultTransport, transport.Config{})
//	client := &http.Client{Transport: t}
//
// # The way of a request
//
// A request joins the queue of its pace. That is what requests to one host with one
// credential have in common, see [Config.Key]. It is sent when it is the first in
// the queue and the pace allows it, and its response sets the pace for the next.
// The first request to a host goes alone, so that the rest know the pace, and so does
// the first one after a denial. As long as a host tells of no limit and refuses nothing,
// its requests do not wait.
//
// Limits may hold for some routes only, as those of a search. So a pace learns which
// limits the responses to a route name, and a request waits for those alone. A route is
// a method and the first three segments of a path, of which those with a digit are
// taken for identifiers. One that is not known yet is held by the limits that most
// routes have. The last 256 are remembered.
//
// The pace is a token bucket of golang.org/x/time/rate for each limit that the last
// response told, at the rate it told: quota by window, or the rate at which the bucket
// refills. The tokens in it are those that the server says remain, but one, which
// is left for requests that overtake each other. Of a limit of which only the end of
// its window is told, a tenth may be used at once and the rest is spread over the
// window; requests that would wait for too long by that go sooner, while something
// remains. Where nothing is told but a refusal now and then, the rate is found out:
// that which was admitted between two refusals, and then slowly more.
//
// Whether a limit is a bucket or a window, its server may say wrongly, or not at all.
// Then the responses show it: in a bucket what remains grows again before the end, and
// after a refusal there is a token when the first one is due. Several of them must
// agree, and a refusal that contradicts them counts for more.
//
// Servers tell their windows in whole seconds, and so less than the rate of a bucket
// that is full again within one, as with 20 a second and a burst of 2. keyrate's own
// middleware tells such a window exactly, in a parameter of its own. With other servers
// requests go faster if more remains than can be at the rate that was told. A bucket
// of 1 never shows that: with 5 a second and a burst of 1 that is told as 1 a second,
// one request a second is sent, and none is refused.
//
// Paces are not shared between processes. A process that is refused although it
// keeps to the limit takes it that others use the same key, and goes at a part of
// the rate for a while.
//
// # Refusals
//
// A response is a refusal if its status is 429; or 403 (GitHub), 418 (Binance), 430
// (Shopify), 503 or 529 (Anthropic) with a Retry-After; or 403 with
// X-RateLimit-Remaining: 0 (GitHub); or if [Config.Denied] says so. Then all
// requests wait as told that count against the limits of which nothing remains or, if
// it names none, all of that pace; and the refused one goes first, if it can be
// sent again: it has no body, or GetBody, or nobody has read from its body yet; and
// after a 503 or 529, which do not say that nothing was done, only if it is idempotent.
// Where nothing is told the wait is a second, and doubles with each refusal, or lasts
// until the reset of a limit of which something remains, if there is one. If it
// cannot be sent again, or it has been refused too often, or would have to wait too
// long, or the response says x-should-retry: false, the caller gets the refusal as it
// is, with its body.
//
// # What is never done
//
// Whatever a server sends, no request waits longer than [Config.MaxWait] in all,
// and none begins a wait that its context's deadline will cut off: it fails at once,
// with a [WaitError]. While a refusal asks for more than MaxWait, one request in each
// MaxWait asks whether it still does; what is told without a refusal is believed for
// half of that at most. So no server can stop a program for good. What is
// remembered is bounded, and holds no credential. There are no goroutines and there
// is nothing to close.
package transport

// For those who read on. A request comes to the Transport, which makes a trip of it
// (transport.go): it finds its pace by its key (key.go, principal.go, paces.go) and its
// limits by its route (route.go), waits in their queue (pace.go, queue.go) for their
// gates (gate.go), and is sent by its sender (sender.go, unread.go).
//
// What the response reports is read from its headers (limits.go). The table of dialects
// (dialects.go) says which headers those are; its rows make up families (table.go,
// family.go), some of which have forms of their own (ietf.go, vendor.go). The readers
// are the same for all: members of a field (field.go), counts (number.go), durations
// (duration.go), dates (date.go), and how far away all these are (clock.go). Whether
// it denies, and for how long, is read by denial.go, and refusal.go keeps its body. The
// pace takes a reading of it (reading.go), with a lane for each limit (lane.go) that has
// a bucket (bucket.go). Evidence decides whether the limit is one. Of a rate that is not
// told a gauge finds bounds, and a way is what a trip takes; a surplus is what it is above the one that is told, and a
// share what is left of it by others. For want of any limit there is a learner. Each of
// these has a file of its own.
