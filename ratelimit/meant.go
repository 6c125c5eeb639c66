package ratelimit

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// longestMeant is the length in bytes of the longest text in which meant looks for
// limits: four with a burst and a name each take half of it.
const longestMeant = 256

// meant returns the policy that s means, though it is not written as [ParsePolicy]
// reads it, in the spellings of other libraries and servers:
//
//	5 / 30s    10,000/d    10000/month    5 per second    100-M    10r/s burst=20    20/5m;100/h
//
// It returns nil for a text that can mean nothing, or more than one thing, as 5/M
// (a minute or a month?) and 10.000/d can. What it returns holds nothing of s but
// numbers and names that are words of ours, so that it can be shown where s cannot.
func meant(s string) *Policy {
	if len(s) > longestMeant {
		return nil
	}
	s = strings.Trim(strings.Join(strings.Fields(s), " "), "\"'` ")
	var p *Policy
	for _, text := range []string{s, ungrouped(s)} {
		if p != nil && text == s {
			continue
		}
		q := meantLimits(text)
		if p != nil && q != nil && p.String() != q.String() {
			return nil
		}
		if q != nil {
			p = q
		}
	}
	return p
}

// wantMeant is what an error says should be written for s; "" if that is not clear.
func wantMeant(s string, one bool) string {
	p := meant(s)
	switch {
	case p == nil:
		return ""
	case one && len(p.limits) == 0:
		return ""
	case one && len(p.limits) > 1:
		return `must be one limit; several are written "` + p.String() + `"`
	}
	return `must be written "` + p.String() + `"`
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

// meantLimits reads limits and options with anything between them that separates.
func meantLimits(s string) *Policy {
	switch strings.ToLower(s) {
	case unlimitedText, "infinite", "inf", "no limit", "no limits":
		return Unlimited
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
		if len(limits) > 0 && meantOption(part, &limits[len(limits)-1]) {
			continue
		}
		l, ok := meantLimit(part)
		if !ok {
			return nil
		}
		limits = append(limits, l)
	}
	nameApart(limits)
	p, err := NewPolicy(limits...)
	if err != nil {
		return nil
	}
	return p
}

// meantOption reads an option of l that is not set yet.
func meantOption(s string, l *Limit) bool {
	if m := burstForm.FindStringSubmatch(s); m != nil && l.Burst == 0 {
		n, err := parseCount(m[1])
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
		at, err := parseDate(m[2])
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
		if l.Name != "" || !slices.ContainsFunc(limits[:i], func(o Limit) bool { return o.Name == "" && o.Period != l.Period }) {
			continue
		}
		name := map[time.Duration]string{time.Hour: "hourly", day: "daily", 7 * day: "weekly", 30 * day: "monthly"}[l.Period]
		if name == "" {
			name = "per-" + formatPeriod(l.Period)
		}
		l.Name = name
	}
}
