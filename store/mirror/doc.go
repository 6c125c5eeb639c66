// Package mirror stands in front of a shared store, remembers the debts that it
// has seen, and goes on deciding while that store is away.
//
//	shared, err := redisstore.New(client, redisstore.Config{Secret: secret})
//	...
//	store, err := mirror.New(shared, mirror.Config{Nodes: 3})
//	...
//	defer store.Close()
//	limiter, err := ratelimit.New(store, ratelimit.PerSecond(5), ratelimit.Config{})
//
// # What it knows
//
// Each answer of the shared store tells the debt of a bucket at an instant between
// question and answer. Debts only shrink with time and grow with calls, so whoever
// has seen one has, from then on, a lower bound: what is left of it if nobody called.
// Knowledge may be forgotten at any time. That is why the memory is a plain table of
// bounded size, in which the smaller debt gives way. It holds no API key.
//
// From that one memory it
//
//   - denies on its own. When the lower bound alone leaves no room for a call, the
//     shared store would refuse it too: it is refused without asking, at no cost to
//     the shared store, with a wait that is a lower bound as well. Nothing older than
//     a second refuses anybody, so that a Reset or a raised limit on another node is
//     seen, and a clock that was set, or stood still as that of a suspended machine does.
//   - sends along what it knows, [ratelimit.Request.Known]. A shared store that lost
//     its data decides as if it had not, and stores what it was told.
//   - decides alone while the shared store is away.
//
// Nothing is concluded from buckets that keys share, [ratelimit.Decision.Overflow]. Each
// decision says what it is founded on, [ratelimit.Decision.Source].
//
// # Calls on their way
//
// The memory also counts the tokens of the calls that are on their way. A call that will
// be refused if those are admitted follows them: it waits until one has landed, and mostly
// is refused then without a trip of its own. So, of many callers who want the last token
// of a key, as many make the trip as may be admitted.
//
// # When the shared store fails
//
// A call that it does not decide is decided here, at once. After three failures in a
// row it counts as away: it is not asked any more, and nobody waits for it. From then
// on one goroutine proves it with real decisions, [ratelimit.Prove], some ten times
// a second. With the first proof that succeeds it is back, and the goroutine ends; if it
// relapses within seconds, it takes two proofs in a row, and then four. [Config.OnChange]
// is told of both transitions. A store that is [ratelimit.Partitioned], such as one on a
// Redis Cluster, is away and back part by part.
//
// A caller that gives up is no failure. Nor is one who waited for less than half of
// [ratelimit.DefaultTimeout], unless nobody has heard anything for that long.
//
// # What is admitted meanwhile
//
// With N nodes, [Config.Nodes], each grants its share of a limit of rate r and burst
// B: r/N, with a burst of max(1, floor(B/N)). The share's bucket begins with the
// debt that is known, as a time: a bucket that would be full in two seconds, is its
// share's in two seconds as well, and until then owes each node alike. So k nodes that
// decide alone for a time t admit at most k*max(1, floor(B/N)) + k*(r/N)*t more than
// the limit.
//
// A single node admits nothing more, whatever becomes of its calls; only, each time the
// shared store loses its data, at most what is on its way then. A call that may have been
// charged, but whose answer was lost, may be paid for twice; and one whose answer comes after
// another was decided here, as if it had been made then.
//
// What a node admits alone, it adds to the debt that it knows, at the price of the
// limit and not of its share; and to that what the shared store admits meanwhile, until
// that owes as much. Had the shared store been there, it would have charged
// at least that; so it is a lower bound too, and is handed over like any other when
// the store is back. It refuses nobody before the shared store has seen it.
//
// Reset, while the shared store is away, fills the buckets of this node and returns
// an error: what the shared store holds comes back with it.
package mirror
