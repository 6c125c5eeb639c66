package signals

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// A dialect is how one vendor reports its limits: a row of the table.
type dialect struct {
	who    string // sends it
	source string // its documentation, or where it was seen
	limits []fields
}

// fields are the headers of one limit. Rows that share a header speak of the same limit,
// and are read as one.
type fields struct {
	three   string // the three most common headers, with * for Limit, Remaining and Reset
	headers headers
	each    string        // names for the @ in three and headers, one limit each; a unit of time is its window
	name    string        // of the limit, if no header has it
	unit    string        // "" for requests
	per     time.Duration // the window, if it is documented and not sent
	bucket  bool          // Reset is when a bucket is full
	common  bool          // many send it, as one of several forms of the same limit
}

// headers are names of headers by their roles, with spaces between those of one role. Of
// several, the first that is present and valid counts.
type headers map[role]string

// A role is what a header says of a limit.
type role int

const (
	quota     role = iota // a count, a period such as "15m", or a quota policy "10;w=60"
	remaining             // a count
	used                  // a count
	resetMs               // when the window ends: a number is in milliseconds
	resetIn               // more precisely than reset
	reset                 // a number is in seconds
	window                // a number is in seconds
	windowMs              // a number is in milliseconds
	refill                // how many come back in a window, or in a second
	perSecond             // how many there are in a second, with a fraction
	title                 // the name of the limit
	states                // RateLimit of the IETF
	policies              // RateLimit-Policy
	ratio                 // used/quota: "32/40"
	pairs                 // quota:seconds, "20:1,100:120"
	pairsUsed             // used:seconds, or used:seconds:wait
	waitMs                // instead of Retry-After: a number is in milliseconds
	waitFor               // a number is in seconds
	roles
)

// A family is what all rows together say of one limit. Its fields are those of the first
// row.
type family struct {
	fields
	names [roles][]string // canonical
}

// waits is the family of the headers that say only how long to wait.
const waits = 0

// A table is the dialects, compiled.
type table struct {
	families []family
	index    map[string]int // of the family, by header
}

// maxFamilies is how many families there may be.
const maxFamilies = 128

// spoken is the table in use. The most common names come first.
var spoken = compile(slices.Concat(dialects, vendors))

func compile(rows []dialect) table {
	t := table{families: make([]family, 1), index: make(map[string]int)}
	for _, row := range rows {
		for _, f := range row.expand() {
			t.add(f)
		}
	}
	return t
}

// expand returns the limits of a row, one for each name.
func (d dialect) expand() (limits []fields) {
	for _, f := range d.limits {
		if f.each == "" {
			limits = append(limits, f)
		}
		for name := range strings.FieldsSeq(f.each) {
			one := f
			one.name = strings.ToLower(name)
			one.per = cmp.Or(f.per, units[one.name])
			one.three = strings.ReplaceAll(f.three, "@", name)
			one.headers = make(headers)
			for as, text := range f.headers {
				one.headers[as] = strings.ReplaceAll(text, "@", name)
			}
			limits = append(limits, one)
		}
	}
	return limits
}

func (t *table) add(f fields) {
	names := f.canonical()
	at := len(t.families)
	for _, name := range slices.Concat(names[:]...) {
		if i, ok := t.index[name]; ok {
			at = i
		}
	}
	if len(names[waitMs])+len(names[waitFor]) > 0 {
		at = waits
	}
	if at == len(t.families) {
		t.families = append(t.families, family{fields: f})
	}
	for as, of := range names {
		for _, name := range of {
			if _, ok := t.index[name]; !ok {
				t.index[name] = at
				t.families[at].names[as] = append(t.families[at].names[as], name)
			}
		}
	}
}

// canonical returns the names of the headers by their roles.
func (f fields) canonical() [roles][]string {
	var names [roles][]string
	for as, text := range f.headers {
		names[as] = strings.Fields(text)
	}
	if f.three != "" {
		for as, what := range map[role]string{quota: "Limit", remaining: "Remaining", reset: "Reset"} {
			names[as] = append(names[as], strings.ReplaceAll(f.three, "*", what))
		}
	}
	for _, of := range names {
		for i, name := range of {
			of[i] = http.CanonicalHeaderKey(name)
		}
	}
	return names
}
