// Package meant guesses the limits behind a text that is not in the text form of a limit:
// the spellings of other libraries, servers and people.
//
//	5 / 30s    10,000/d    10000/month    5 per second    100-M    10r/s burst=20    20/5m;100/h
//
// It finds no limits in a text that can mean nothing, or two things, as 5/M (a minute or a
// month?) and 10.000/d can.
package meant

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit/internal/text"
)

// A Limit has the fields of a ratelimit.Limit. It need not be valid.
type Limit struct {
	Name        string
	Rate        int
	Period      time.Duration
	Burst       int
	Concurrent  bool
	Shared      bool
	Shadow      bool
	EnforceFrom int64
	EnforceFor  int
}

// A Reading is what a text can mean. It holds nothing of the text but numbers and usual
// names.
type Reading struct {
	Unlimited bool
	Limits    []Limit
}

// longest is the length in bytes of the longest text that is read: four limits with a burst
// and a name each take half of it.
const longest = 256

// Readings returns what a text can mean: unchanged, and with the separators of thousands
// removed. If two valid readings differ, the meaning is open.
func Readings(s string) (all []Reading) {
	if len(s) > longest {
		return nil
	}
	s = strings.Trim(strings.Join(strings.Fields(s), " "), "\"'` ")
	for _, form := range []string{s, ungrouped(s)} {
		if r, ok := read(form); ok {
			all = append(all, r)
		}
	}
	return all
}

var (
	groups     = regexp.MustCompile(`\b[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?:_[0-9]{3})+|(?:'[0-9]{3})+)\b`)
	spaced     = regexp.MustCompile(`^[1-9][0-9]{0,2}(?: [0-9]{3})+\b`)
	nextOption = regexp.MustCompile(`(?i) (burst|name|shadow|enforce-from)\b`)
	nextLimit  = regexp.MustCompile(`(?i)([a-z])(?: and | plus | )([0-9]+ ?(?:[a-z]+ ?)?(?:/|per\b))`)
	draftForm  = regexp.MustCompile(`^(?:q=)?([0-9]+) ?; ?w=([0-9]+)$`)
	limitForm  = regexp.MustCompile(`^(?i:rate ?[=:]? ?)?\+?([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:(k|K|M)\b)? ?` +
		`(?i:(?:r|reqs?|requests?|calls?|hits?|quer(?:y|ies)|ops?|operations?|tokens?|times|x)\b ?)?` +
		`(?i:(/|-|per\b|an?\b|every\b|each\b|in\b|within\b) ?(?:an?\b|every\b|each\b)? ?(.+?)|([rqt]p[smhd])|(hourly|daily|weekly|monthly))\.?$`)
	atOnceForm = regexp.MustCompile(`^(?i:max(?:imum)? |at most |up to )?\+?([0-9]+) ?` +
		`(?i:(?:(?:reqs?|requests?|calls?)\b )?(?:at (?:(?:a |one )?time|once|the same time)|in parallel|in flight|concurrently|simultaneously)|` +
		`(?:max )?(?:concurrent|parallel|simultaneous)(?: (?:reqs?|requests?|calls?))?)\.?$`)
	periodPart = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?|\.[0-9]+)? ?([A-Za-zµμ]+) ?`)
	isoPeriod  = regexp.MustCompile(`^P(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)S)?)?$`)
	burstForm  = regexp.MustCompile(`(?i)^burst ?(?:of |[=: ]) ?([0-9]+)(?: nodelay)?$`)
	otherForm  = regexp.MustCompile(`(?i)^(name|enforce-from) ?[=:] ?(.+)$`)
	usualName  = regexp.MustCompile(`^(default|second|minute|hour|day|week|month|year|hourly|daily|weekly|monthly|yearly|per-[1-9]{0,3}[smhd])$`)
)

// ungrouped removes the separators of thousands.
func ungrouped(s string) string {
	separators := strings.NewReplacer(",", "", "_", "", "'", "", " ", "")
	return groups.ReplaceAllStringFunc(spaced.ReplaceAllStringFunc(s, separators.Replace), separators.Replace)
}

// read reads limits and options with any separator between them.
func read(s string) (r Reading, ok bool) {
	switch strings.ToLower(s) {
	case "unlimited", "infinite", "inf", "no limit", "no limits":
		return Reading{Unlimited: true}, true
	}
	if m := draftForm.FindStringSubmatch(s); m != nil { // RateLimit-Limit of the IETF's drafts
		s = m[1] + "/" + m[2] + "s"
	}
	s = nextLimit.ReplaceAllString(nextOption.ReplaceAllString(s, ";$1"), "$1;$2")
	var limits []Limit
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(";,|&", r) }) {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		if len(limits) > 0 && readOption(part, &limits[len(limits)-1]) {
			continue
		}
		l, ok := readLimit(part)
		if !ok {
			return Reading{}, false
		}
		limits = append(limits, l)
	}
	nameApart(limits)
	return Reading{Limits: limits}, true
}

// readOption reads an option of l that is not set yet.
func readOption(s string, l *Limit) bool {
	if m := burstForm.FindStringSubmatch(s); m != nil && l.Burst == 0 {
		n, err := text.ParseCount(m[1])
		l.Burst = n
		return err == nil && n > 0
	}
	if strings.EqualFold(s, "shadow") && !l.Shadow {
		l.Shadow = true
		return true
	}
	m := otherForm.FindStringSubmatch(s)
	switch {
	case m == nil:
		return false
	case strings.EqualFold(m[1], "name"):
		if l.Name != "" || !usualName.MatchString(m[2]) {
			return false
		}
		l.Name = m[2]
		return true
	default:
		at, err := text.ParseDate(m[2])
		if err != nil || l.EnforceFrom != 0 {
			return false
		}
		l.Shadow, l.EnforceFrom = true, at
		return true
	}
}

// nameApart names the limits after the first that have no name: names must differ. Two
// limits of one period are more likely a mistake, and stay as they are.
func nameApart(limits []Limit) {
	for i := range limits {
		l := &limits[i]
		if l.Name != "" || l.Concurrent || !slices.ContainsFunc(limits[:i], func(o Limit) bool { return o.Name == "" && !o.Concurrent && o.Period != l.Period }) {
			continue
		}
		name := map[time.Duration]string{time.Hour: "hourly", text.Day: "daily", 7 * text.Day: "weekly", 30 * text.Day: "monthly"}[l.Period]
		if name == "" {
			name = "per-" + text.FormatPeriod(l.Period)
		}
		l.Name = name
	}
}
