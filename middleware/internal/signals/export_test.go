package signals

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Vendors returns the vendors of the table.
func Vendors() (names []string) {
	for _, row := range slices.Concat(dialects, vendors) {
		names = append(names, row.who)
	}
	return names
}

// Sources returns the sources of the rows.
func Sources() (urls []string) {
	for _, row := range slices.Concat(dialects, vendors) {
		urls = append(urls, row.source)
	}
	return urls
}

// Families returns how many limits the table has, and how many it may have.
func Families() (n, most int) { return len(spoken.families), maxFamilies }

// Names returns the headers of the table.
func Names() (names []string) {
	for name := range spoken.index {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Twice returns the headers that have different roles in different rows.
func Twice() (names []string) {
	first := make(map[string]int)
	for _, row := range slices.Concat(dialects, vendors) {
		for _, f := range row.expand() {
			for as, of := range f.canonical() {
				for _, name := range of {
					if was, ok := first[name]; ok && was != as {
						names = append(names, name)
					}
					first[name] = as
				}
			}
		}
	}
	return names
}

// A State is the state of a limit when a server answers.
type State struct {
	Quota, Remaining int
	Window           time.Duration
	Reset            time.Duration // until the window ends, or the bucket is full
	Refill           int           // how many come back in a window, of a bucket
}

// A Speaker reports a limit of requests as a row describes it.
type Speaker struct {
	Who     string
	Window  time.Duration // if it is documented and not sent
	Bucket  bool          // reports when the bucket is full
	Refill  bool          // reports how fast the bucket refills
	Leaks   bool          // reports how full the bucket is
	Reports bool          // reports a quota and its time
	Report  func(h http.Header, s State)
}

// Speakers returns one Speaker for each limit of requests in the table.
func Speakers() (all []Speaker) {
	for _, row := range slices.Concat(dialects, vendors) {
		for _, f := range row.expand() {
			names := f.canonical()
			says := func(as role) bool { return len(names[as]) > 0 }
			if f.unit != "" || says(waitMs) || says(waitFor) {
				continue
			}
			all = append(all, Speaker{
				Who: row.who + " " + f.name, Window: f.per, Bucket: f.bucket, Refill: says(refill), Leaks: says(ratio),
				Reports: says(states) || says(ratio) || says(pairs) || says(perSecond) ||
					says(quota) && (f.per > 0 || says(window) || says(windowMs) || says(reset) || says(resetMs) || says(resetIn)),
				Report: func(h http.Header, s State) { report(h, names, s) },
			})
		}
	}
	return all
}

func report(h http.Header, names [roles][]string, s State) {
	set := func(as role, format string, values ...any) {
		for _, name := range names[as] {
			h.Set(name, fmt.Sprintf(format, values...))
		}
	}
	seconds := func(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
	set(quota, "%d", s.Quota)
	set(remaining, "%d", s.Remaining)
	set(used, "%d", s.Quota-s.Remaining)
	set(resetMs, "%d", s.Reset.Milliseconds()+1)
	set(resetIn, "%.3f", s.Reset.Seconds()+0.001)
	set(reset, "%d", seconds(s.Reset))
	set(window, "%d", seconds(s.Window))
	set(windowMs, "%d", s.Window.Milliseconds())
	set(refill, "%d", s.Refill)
	set(perSecond, "%g", float64(s.Quota)/s.Window.Seconds())
	set(title, "a")
	set(policies, `"a";q=%d;w=%d`, s.Quota, seconds(s.Window))
	set(states, `"a";r=%d;t=%d`, s.Remaining, seconds(s.Reset))
	if len(names[policies]) == 0 {
		set(states, "total=%d; remaining=%d; resets=%d", s.Quota, s.Remaining, seconds(s.Reset))
	}
	set(ratio, "%d/%d", s.Quota-s.Remaining, s.Quota)
	set(pairs, "%d:%d", s.Quota, seconds(s.Window))
	set(pairsUsed, "%d:%d", s.Quota-s.Remaining, seconds(s.Window))
}
