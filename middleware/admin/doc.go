// Package admin is an [http.Handler] for the operators of a limiter. It reports what a key
// has left, fills its buckets, shows and replaces the table of limits while it is in use,
// and reports the keys that are denied most, and those that shadow limits would have denied.
//
//	operator := func(r *http.Request) bool { // by a secret that is not empty
//		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) == 1
//	}
//	h, err := admin.New(limiter, operator, admin.Config{Table: table})
//	...
//	mux.Handle("/limits/", http.StripPrefix("/limits", h))
//
// # Requests
//
//	POST /key/state         {"key": "..."} or {"address": "192.0.2.1"}: the decision that a call would get
//	POST /key/reset         the same: fills the key's own buckets, or with "limit": "NAME" that of one limit
//	POST /key/reset-shared  as for the state: fills the buckets that the key shares with its organisation
//	POST /key/block         the same: blocks the key in the table, optionally with "until": "2026-12-04T18:00:00Z" and "reason"
//	POST /key/unblock       the same: lifts that block. For both, the address may be a prefix, such as 192.0.2.0/24, and the key its hash
//	GET /table              the table, with hashes for keys: edit it and send it back
//	PUT /table              replaces the table, all or nothing; If-Match names the replaced one
//	GET /table/changes      the last changes of the table: when, what and, in a fleet, who
//	POST /table/rollback    {"version": 1796062232090}: puts that in force again, in a fleet
//	POST /table/override    {"key": "...", "factor": 10, "until": "2026-12-04T18:00:00Z"}: other limits for a time, in a fleet
//	GET /table/summary      the plans, the organisations and their numbers of keys
//	GET /shadow             the keys that shadow limits would have denied
//	GET /denied             the keys that were denied most, with [ratelimit.Config].Metrics
//	GET /                   the console: a page for browsers that shows all of this
//	GET /live               what happens now, as server-sent events, one a second
//	GET /openapi.json       an OpenAPI 3.1 description
//
// Bodies are JSON, errors are RFC 9457 problems. A key is what a client sends: it goes
// through [middleware.BucketKey], an address through [middleware.AddressKey]. The table is
// the JSON form of a [plans.TableConfig], with policies such as "5/s", ["50/s",
// "1000/h;name=hourly"] or "unlimited". The state of a key or an address contains its hash,
// by which the table and the reports name it; of a hash alone there is no state, because a store
// knows neither key nor hash. Its parts are the limits of routes, and of other
// limiters made with [ratelimit.Limiter.With]; a reset fills these, too. A table with a
// key that no client can have, with spaces around it or of over 256 bytes, is rejected.
//
// A block is in force at once, on this node, until it ends, /key/unblock lifts it, or a table that
// leaves it out is put. It outlasts a file of limits that is reloaded. A response 409 means that
// the program's limits do not look the key up in the table: see [ratelimit.LimitsFunc].
//
// A lock-out of a key ([ratelimit.Lockout]) is a block that its node has set: its state shows it,
// and a reset ends it. If the limit of a route has locked the key out, it stands beside the limits of
// that route, among the parts.
//
// A reset of a key does not fill what the keys of its organisation share, unless it names a
// shared limit. /key/reset-shared fills all of that, for all keys of the organisation. A
// response about a key shows its organisation, but no other key of it.
//
// # Authorization
//
// There is no handler without a function that authorizes requests; if that function
// panics, the request is denied. Web pages of other origins can change nothing, because of
// [http.CrossOriginProtection] and because a body must be declared as JSON; over TLS, which
// makes browsers say where a request comes from, they cannot even make the handler work. No response,
// log line or error contains a key or echoes what was sent. A hash stands for a key, as
// [ratelimit.HashKey] writes it; if a key can be guessed, so can its hash. Serve the handler
// over TLS and, if you can, not where you serve your API.
//
// The handler does not limit how often a client may guess the credential: wrap it in
// [middleware.RateLimit] without a Key.
//
// A browser that opens the console without credentials is asked for a name and a password. If
// the function does not authorize a request with Basic credentials as it is, it is called again
// with the password as a Bearer credential. So the secret above works as the password. The
// console is one page that loads nothing from elsewhere, cannot be shown in a frame of another
// page, and has no key in it.
//
// # Two operators
//
// The ETag of a table is the SHA-256 of the body of GET /table. PUT /table requires it in
// If-Match and responds with 412 if the table has been replaced meanwhile, by another
// operator or by the program itself. So no operator overwrites a table unseen. A decision
// goes by the old table or by the new one, never by parts of both, and does not wait.
//
// With [Config.Fleet], a table is put on all nodes, and kept. Otherwise a new table is in force on
// this node until it is replaced again or the program ends; to keep it, a program uses
// [Config.Observe] and [plans.Table.Config]. A program that
// loads its table from a file should not replace it here as well.
//
// # What it costs
//
// With a million keys, a table is about 90 MB of JSON. It is read and written as a
// stream: beside the old table and the new one, writing takes 40 bytes of memory for each
// key, and reading a map of the keys. Each takes a second or two. A table made to be
// costly, of very short entries, takes up to thirty times its size while it is read: 4 GB
// for one of [MaxTableBody]. So authorize only operators that you trust.
//
// A table may take five minutes to arrive, and five more until the response is written,
// whatever the ReadTimeout and WriteTimeout of the server.
package admin
