// Package admin is an [http.Handler] for those who operate a limiter: it tells what a key
// has left, fills its buckets, shows and replaces the table of limits while it is in use,
// and tells whom limits that only watch would have refused.
//
//	operator := func(r *http.Request) bool { // by a secret that is not empty
//		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) == 1
//	}
//	h, err := admin.New(limiter, operator, admin.Config{Table: table})
//	...
//	mux.Handle("/limits/", http.StripPrefix("/limits", h))
//
// # What there is
//
//	POST /key/state      {"key": "..."} or {"address": "192.0.2.1"}: what a call would be answered
//	POST /key/reset      the same: fills the buckets, or with "limit": "NAME" that of one limit
//	GET /table           the table, with hashes for keys: what is read can be changed and put back
//	PUT /table           another table, all or nothing; If-Match names the one that it replaces
//	GET /table/summary   the plans, and how many keys they have
//	GET /shadow          whom limits that only watch would have refused
//	GET /openapi.json    all of this as an OpenAPI 3.1 description
//
// Bodies are JSON, errors are RFC 9457 problems. A key is what a caller sends: it goes
// through [middleware.BucketKey], an address through [middleware.AddressKey]. The table is
// the JSON form of a [ratelimit.TableConfig], a policy as "5/s", as ["50/s",
// "1000/h;name=hourly"] or as "unlimited". The state of a key tells what stands for it in
// the table and in the report, and so does that of an address. Its parts are the limits of
// routes, and of other limiters made with [ratelimit.Limiter.With]; a reset fills these, too.
// A table is refused if it has a key that no caller can have, with spaces around it or of
// over 256 bytes.
//
// # Who may
//
// There is no handler without a function that says who may, and what panics there is a
// refusal. Web pages of other origins can change nothing, by
// [http.CrossOriginProtection] and since a body must say that it is JSON. Nor is anything
// here for strangers who are let in by mistake: no answer, log line or error has a key in
// it or echoes what was sent. A hash stands for a key, as [ratelimit.HashKey] writes it;
// of a key that can be guessed, the hash can be guessed, too. Serve it over TLS, and not where
// the callers of the API are served, if that can be had.
//
// A limit on how often one may guess the credential is the program's: wrap the handler in
// [middleware.RateLimit] without a Key.
//
// # Two operators
//
// The ETag of a table is the SHA-256 of its text, the very bytes that GET /table answers.
// PUT /table wants it in If-Match, and answers 412 if the table has been replaced
// meanwhile, be it by the program itself: so nobody overwrites what he has not seen.
// Decisions go by the old table or the new one, never by some of each, and do not wait.
//
// A table that was put is in force in this process, until it is replaced again or the
// process ends. A program that wants to keep it is told by [Config.Observe], and finds
// it in [ratelimit.Table.Config]. One that loads its table from a file should not replace
// it here as well.
//
// # What it costs
//
// With a million keys, a table is about 90 MB of JSON. It is read and written as a
// stream: beside the old table in force and the new one, that takes 40 bytes for each key
// to write it, and a map of the keys to read it. Each takes a second or two. What is made
// to be costly, of nothing but short entries, takes up to thirty times its size while it
// is read: 4 GB, for one of [MaxTableBody]. So let only those in whom you trust.
//
// A table may take five minutes to come, and as long to be taken, whatever the ReadTimeout
// and the WriteTimeout of the server.
package admin
