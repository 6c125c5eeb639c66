// Package signals reads from the headers of a response which limits of an API it reports,
// and whether it denies its request.
//
// [Parse] looks up the headers in a table of dialects. The rows that speak of one limit
// form a family, which reads its members, counts, durations, dates and Unix times in all
// forms in use. A file calls down this list, never up:
//
//	limits.go, denial.go         what a response reports
//	table.go                     which headers those are: dialects.go, vendors.go
//	family.go                    reads one limit: counts.go, ietf.go, dictionary.go,
//	                             ratio.go, pairs.go, json.go
//	rows.go                      a row of the table, and its headers' values
//	merge.go                     two reports of one limit
//	policy.go                    a member of a quota policy
//	clock.go                     how far in the future an instant is
//	field.go, quota.go           the members of a field, and a count with its period
//	duration.go, date.go, number.go
package signals
