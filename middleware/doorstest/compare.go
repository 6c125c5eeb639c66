package doorstest

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware"
)

// compare returns how an answer of the door differs from that of package middleware.
func (d Door) compare(want, got answer) (faults []string) {
	if d.Brief {
		if want := d.brief(want.Answer); !d.sameBrief(got.Answer, want) {
			faults = append(faults, fmt.Sprintf("%s: the answer is %d, limit %q, remaining %d, wait %v; want %d, %q, %d, %v", got.to,
				got.Status, got.Limit, got.Remaining, got.Wait, want.Status, want.Limit, want.Remaining, want.Wait))
		}
		return faults
	}
	names := maps.Clone(want.Header)
	maps.Copy(names, got.Header)
	for _, name := range d.Owned {
		delete(names, http.CanonicalHeaderKey(name))
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if got, want := strings.Join(got.Header[name], "\n"), d.renamed(strings.Join(want.Header[name], "\n")); !d.same(got, want) {
			faults = append(faults, fmt.Sprintf("the header %s is %q, want %q", name, got, want))
		}
	}
	if got, want := string(got.Body), d.renamed(string(want.Body)); !d.same(got, want) {
		faults = append(faults, fmt.Sprintf("the body is\n%s\nwant\n%s", got, want))
	}
	for i := range faults {
		faults[i] = got.to + ": " + faults[i]
	}
	return faults
}

// renamed replaces the name of the route in a text of package middleware with that of the door.
func (d Door) renamed(text string) string {
	return strings.ReplaceAll(text, middleware.RouteName(plainPattern, ""), middleware.RouteName(d.Pattern, ""))
}

// brief returns what a door that is Brief should report.
func (d Door) brief(a Answer) Answer {
	brief := Answer{Status: a.Status}
	if item := first.FindStringSubmatch(d.renamed(a.Header.Get(middleware.HeaderRateLimit))); item != nil {
		brief.Limit = item[1]
		brief.Remaining, _ = strconv.Atoi(item[2])
	}
	ms, _ := strconv.Atoi(a.Header.Get(middleware.HeaderRetryAfterMs))
	if s, _ := strconv.Atoi(a.Header.Get(middleware.HeaderRetryAfter)); ms == 0 {
		ms = s * 1000 // of a 503
	}
	brief.Wait = time.Duration(ms) * time.Millisecond
	return brief
}

// sameBrief compares waits to the millisecond, as the header rounds them up.
func (d Door) sameBrief(got, want Answer) bool {
	wait := (got.Wait + time.Millisecond - 1).Truncate(time.Millisecond)
	return got.Status == want.Status && got.Limit == want.Limit && got.Remaining == want.Remaining &&
		(wait == want.Wait || d.RealTime && (wait-want.Wait).Abs() <= want.Wait/100)
}

var (
	first   = regexp.MustCompile(`^"([^"]*)";r=(\d+)`) // the deciding limit in RateLimit
	numbers = regexp.MustCompile(`\d+`)
	waits   = regexp.MustCompile(`retry after [^.]*\.`)
)

// same reports whether two texts are equal or, in real time, differ only in times.
func (d Door) same(got, want string) bool {
	if got == want || !d.RealTime {
		return got == want
	}
	got, want = waits.ReplaceAllString(got, ""), waits.ReplaceAllString(want, "")
	if numbers.ReplaceAllString(got, "0") != numbers.ReplaceAllString(want, "0") {
		return false
	}
	of := numbers.FindAllString(want, -1)
	for i, number := range numbers.FindAllString(got, -1) {
		a, _ := strconv.ParseInt(number, 10, 64)
		b, _ := strconv.ParseInt(of[i], 10, 64)
		if a != b && (b < 100 || max(a, b)-min(a, b) > b/100) {
			return false
		}
	}
	return true
}
