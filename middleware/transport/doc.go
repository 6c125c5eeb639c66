// Package transport keeps an HTTP client within the rate limits of the APIs that it
// calls. Its http.RoundTripper reads the limits that responses report, spaces requests
// so that they are not denied, and waits as the server asks when one is denied.
//
//	t, err := transport.New(http.DefaultTransport, transport.Config{})
//	client := &http.Client{Transport: t}
//
// # How a request travels
//
// Requests to one host with one credential share a pace, see [Config.Key]. A request
// joins the queue of its pace, is sent when it is first in the queue and the pace
// allows it, and its response sets the pace for the next one. The first request to a
// host goes alone, so that the others know the pace; so does the first one after a
// denial. While a host reports no limit and denies nothing, requests do not wait.
//
// A limit may hold for some routes only, such as those of a search. A pace therefore
// learns which limits the responses to a route report, and a request waits for those
// alone. A route is a method and the first three segments of a path; segments with a
// digit count as identifiers. An unknown route is held by the limits that most routes
// have. A pace remembers the last 256 routes.
//
// Each limit of the last response is a token bucket of golang.org/x/time/rate. Its rate
// is the one that the server reports: the quota by the window, or the rate at which the
// bucket refills. It holds the tokens that remain on the server, less one for requests
// that overtake each other. If the server reports only the end of a window, a tenth of
// the quota may be used at once and the rest is spread over the window; a request that
// would wait too long goes sooner while something remains. If the server reports nothing
// and denies a request now and then, the pace measures the rate that was admitted between
// two denials, and then raises it slowly.
//
// A server may not say whether its limit is a bucket or a window, or say it wrongly. The
// responses then show it: a bucket grows again before the end, and has a token when the
// first one is due after a denial. Several responses must agree, and a denial that
// contradicts them counts for more.
//
// Servers report windows in whole seconds. For a bucket that refills within one second,
// such as 20 a second with a burst of 2, that is less than its rate. keyrate's own
// middleware reports such a window exactly, in a parameter of its own. With other servers,
// requests go faster when more remains than the reported rate allows. A bucket of 1 never
// shows that: for 5 a second with a burst of 1, reported as 1 a second, one request a
// second is sent and none is denied.
//
// Nodes do not share paces. A node that is denied although it keeps to the limit assumes
// that others use the same credential, and uses a part of the rate for a while.
//
// # Denials
//
// A response is a denial if its status is 429; or 403 (GitHub), 418 (Binance), 430
// (Shopify), 503 or 529 (Anthropic) with a Retry-After; or 403 with
// X-RateLimit-Remaining: 0 (GitHub); or if [Config.Denied] says so. All requests that
// count against the limits with nothing remaining then wait as the response asks; if it
// names no such limit, all requests of the pace do. If the response asks for no wait, the
// wait is one second and doubles with each denial, or lasts until the reset of a limit
// with something remaining, if there is one.
//
// The denied request goes first after the wait, if it can be sent again: if it has no
// body, or has GetBody, or its body is still unread. After a 503 or 529, which do not say
// that nothing was done, it must be idempotent. The caller gets the denial as it is, with
// its body, if the request cannot be sent again, was denied too often or would wait too
// long, or if the response says x-should-retry: false.
//
// # Bounds
//
// Whatever a server sends, no request waits longer than [Config.MaxWait] in all, and none
// starts a wait that its context's deadline would cut off: it fails at once, with a
// [WaitError]. While a denial asks for more than MaxWait, one request in each MaxWait
// probes whether it still holds; limits without a denial are believed for half of that at
// most. No server can therefore stop a program for good. What a Transport remembers is
// bounded and holds no credential. It starts no goroutine, and needs no Close.
package transport
