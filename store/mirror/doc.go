// Package mirror stands in front of a shared store, remembers the debts that it has seen,
// and goes on deciding while that store is down.
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
// Each answer of the shared store shows the debt of a bucket. A debt shrinks with time and
// grows with requests. So what is left of an observed debt is a lower bound from then on. A
// table of bounded size keeps these bounds, without API keys. With them the mirror
//
//   - denies by itself. If the bound alone leaves no room for a request, the shared store
//     would deny it too: it is denied without asking, with a wait that is a lower bound as
//     well. An observation older than a second denies nothing, so that a Reset or a raised
//     limit on another node is noticed, and a clock that was set.
//   - hands its knowledge over, in [store.Request.Known]. A shared store that lost its data
//     decides as if it had not, and stores what it was handed.
//   - decides alone while the shared store is down.
//
// A request waits while those in flight, once admitted, would leave no room for it. When they
// are answered, what they show denies most of those that wait. So of many requests for the
// last token of a key, as many ask as can be admitted.
//
// # When the shared store fails
//
// A request that the shared store does not decide is decided here, at once. After three
// failures in a row the store counts as down: it is not asked, and no request waits for it. A
// goroutine probes it with real decisions, about ten times a second, until it is back. A
// store that fails again within seconds must pass two probes in a row, then four. A store
// that is [store.Partitioned], such as one on a Redis Cluster, is down and back part by part.
//
// A request that is canceled is no failure. Nor is one that waited for less than half of
// [store.DefaultTimeout], unless no request has been answered for that long.
//
// # What is admitted meanwhile
//
// Each of N nodes, [Config.Nodes], grants its share of a limit of rate r and burst B: a rate
// of r/N and a burst of max(1, floor(B/N)). The share starts with the known debt, as a time:
// a bucket that would be full in two seconds is full in two seconds in the share as well. So
// k nodes that decide alone for a time t admit at most k*max(1, floor(B/N)) + k*(r/N)*t more
// than the limit. A single node admits no more than the limit, but for what is in flight each
// time the shared store loses its data.
//
// What a node admits alone it adds to the known debt, at the price of the limit. The shared
// store would have charged at least that. So it is a lower bound too, and is handed over when
// the store is back; until the store has seen it, it denies nothing.
//
// # What is charged afterwards
//
// The shared store takes the largest of what the nodes know. But the nodes do not know of each
// other: it must charge the sum of what they admitted alone. So each of several nodes counts the
// tokens of requests that were certainly not executed. Its next request of the key charges them
// first, with a [store.Settlement], but no more than its share still owes: the rest has drained.
// Only then the request hands over what is known. A reset since the last of these requests voids
// the charge. A charge that was not executed is kept. One whose answer was lost is not sent again.
//
// For a second after its return, a node asks the shared store only if its share has room as well:
// others may have to charge yet. With requests spread evenly, and all nodes back within a second,
// no more than N tokens beyond the limit are admitted. What was admitted beyond it is owed and must
// be repaid. If the nodes were busy at different times, up to (N-1)/N of a burst is charged too
// much, and is back within one refill. A single node needs no charge, and a shared store that is no
// [store.Holder] gets none.
//
// # What is held
//
// Requests that hold tokens, and their settlements, go to the shared store. What is held may be
// given back at any time, so it denies nothing by knowledge: only debts do, and a limit on
// concurrent calls never does.
//
// While the shared store is down, a node holds in its share. What it holds in the shared store
// takes room there. Its calls settle in the share, and what they spent is handed over. When the
// shared store is asked again, tokens that are still held alone count as spent, as if their time
// was over. Places of concurrent calls move to the shared store with their next renewal, so three
// seconds after the return no call is admitted while all places are taken.
//
// A settlement is sent once. If its answer is lost, it counts as done. If it was certainly not
// executed it is kept, and sent when the shared store is back, before a request of its key is:
// see [Store.Settle]. A settlement that crosses a request which hands over what was admitted
// alone may let as much more through as it charges.
//
// Leases are of the shared store alone: the share leases nothing, and no node of several takes a
// lease in the second after its return. Settlements that a request brings go along with it, so
// knowledge does not deny that request; if the shared store is not asked, they are kept.
//
// # When a limit changes
//
// What a key has used stays used, as in the shared store. An observation belongs to the rate and
// period of its request: it denies no request of another rate or period, and is not handed over
// with one. A node that decides alone converts it, as many tokens, and so it does with what it
// admitted alone. So one node admits no more than the limit across a change and an outage. Nodes
// with different limits under one name neither free nor lock the key for each other.
package mirror
