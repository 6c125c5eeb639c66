package admin

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// snapshot returns the content of the table. If there is no table, it responds and returns
// false.
func (c *call) snapshot() (s plans.Snapshot, ok bool) {
	if c.config.Table == nil {
		c.problem(http.StatusNotFound, "The program has no table to show: none was given as admin.Config.Table.")
		return s, false
	}
	return c.config.Table.Snapshot(), true
}

// etag returns the SHA-256 of the body of GET /table, in quotes.
func etag(s plans.Snapshot) string {
	sum := s.Sum()
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// table responds with the table, in which hashes stand for the keys.
func (c *call) table() {
	s, ok := c.snapshot()
	if !ok {
		return
	}
	c.answerWithin(tableBodyTime)
	c.w.Header().Set("ETag", etag(s))
	c.begin(http.StatusOK, "application/json")
	if c.r.Method != http.MethodHead {
		_, _ = s.WriteTo(c.w) // a client that hung up needs no response
	}
}

// tableSummary is a table without its keys.
type tableSummary struct {
	Default *ratelimit.Policy      `json:"default"`
	Plans   map[string]planSummary `json:"plans"`
	Keys    int                    `json:"keys"`
}

type planSummary struct {
	Policy  *ratelimit.Policy `json:"policy"`
	Members int               `json:"members"`
}

// summary responds with the plans and the number of keys of each.
func (c *call) summary() {
	s, ok := c.snapshot()
	if !ok {
		return
	}
	members, keys := s.Count()
	summary := tableSummary{Default: s.Default(), Plans: map[string]planSummary{}, Keys: keys}
	for name, p := range s.Plans() {
		summary.Plans[name] = planSummary{p, members[name]}
	}
	c.w.Header().Set("ETag", etag(s))
	c.answer(http.StatusOK, "application/json", summary)
}

// replace puts another table in force, unless the table has changed since the caller read it.
func (c *call) replace() {
	const changed = "The table is not the one that If-Match names: read it again, and send the ETag that comes with it."
	s, ok := c.snapshot()
	if !ok {
		return
	}
	matches := c.r.Header.Values("If-Match")
	switch {
	case len(matches) == 0:
		c.problem(http.StatusPreconditionRequired, "The request must have an If-Match header with the ETag of the table that it replaces.")
		return
	case !anyMatches(matches, etag(s)):
		c.problem(http.StatusPreconditionFailed, changed)
		return
	}
	body := c.body(c.maxTable, tableBodyTime)
	if body == nil {
		return
	}
	c.answerWithin(2 * tableBodyTime) // once to receive it, once to read it and put it in force
	table, err := plans.ReadTableConfig(body)
	if err == nil {
		c.bodyRead()
		err = checkKeys(table)
	}
	if err == nil {
		var replaced plans.Snapshot
		if replaced, err = s.Replace(table); err == nil {
			c.event.ETag = etag(replaced)
			c.w.Header().Set("ETag", c.event.ETag)
			c.begin(http.StatusNoContent, "")
			return
		}
	}
	switch faults := faultsOf(err, s.Plans()); {
	case errors.Is(err, plans.ErrChanged):
		c.problem(http.StatusPreconditionFailed, changed)
	case len(faults) > 0:
		c.answerProblem(problem{Status: http.StatusUnprocessableEntity, Detail: "The table cannot be used; the one that is in force stays.", Errors: faults})
	default:
		c.bodyFailed(err)
	}
}

// checkKeys rejects keys that no client can have, because [middleware.BucketKey] changes
// them. Their limits would silently have no effect.
func checkKeys(t plans.TableConfig) error {
	var faults []error
	more := 0
	check := func(part, key string) {
		switch {
		case middleware.BucketKey(key) == key || middleware.IsAddressKey(key):
		case len(faults) >= mostFaults:
			more++
		default:
			faults = append(faults, &ratelimit.LimitError{Field: fmt.Sprintf("TableConfig.%s[%.19s…]", part, ratelimit.HashKey(key)), Value: "a key of no caller",
				Want: `must have no spaces around it and at most 256 bytes, or be the "key" that POST /key/state answers for it`})
		}
	}
	for key := range t.Members {
		check("Members", key)
	}
	for key := range t.Keys {
		check("Keys", key)
	}
	if more > 0 {
		faults = append(faults, &ratelimit.LimitError{Field: "TableConfig", Value: more, Want: "more of its entries cannot be used"})
	}
	return errors.Join(faults...)
}

// mostFaults is how many faults are reported at most.
const mostFaults = 20

// anyMatches reports whether tag is among those in If-Match. "*" matches nothing: it would
// overwrite a table that its sender has not seen.
func anyMatches(lines []string, tag string) bool {
	return slices.Contains(strings.FieldsFunc(strings.Join(lines, ","), func(r rune) bool { return strings.ContainsRune(" \t,", r) }), tag)
}

// faultsOf returns the reasons to reject a table, without anything that the client sent: a
// key may be in any place. plans are those in force, whose names are not secret.
func faultsOf(err error, byPlan map[string]*ratelimit.Policy) []fault {
	switch e := err.(type) { //nolint:errorlint // not what it wraps
	case *ratelimit.LimitError:
		detail := e.Want
		if more, ok := e.Value.(int); ok && e.Field == "TableConfig" {
			detail = fmt.Sprintf("%d %s", more, detail)
		}
		return []fault{{placeOf(e.Field, byPlan), detail}}
	case interface {
		Position() (line, column int)
		Unwrap() []error
	}:
		line, column := e.Position()
		faults := faultsOf(errors.Join(e.Unwrap()...), byPlan)
		for i := range faults {
			faults[i].Place += fmt.Sprintf(", line %d, column %d", line, column)
		}
		return faults
	case interface{ Unwrap() []error }:
		var faults []fault
		for _, err := range e.Unwrap() {
			faults = append(faults, faultsOf(err, byPlan)...)
		}
		return faults
	default:
		return nil
	}
}

// placeOf makes a place in a TableConfig into one in its JSON form. A plan that is not in
// force is named by its hash.
func placeOf(field string, byPlan map[string]*ratelimit.Policy) string {
	place := strings.TrimPrefix(strings.TrimPrefix(field, "TableConfig"), ".")
	place = strings.TrimSpace(place)
	if rest, ok := strings.CutPrefix(place, "Plans["); ok {
		quoted, err := strconv.QuotedPrefix(rest)
		name, err2 := strconv.Unquote(quoted)
		if err != nil || err2 != nil {
			return "plans"
		}
		if _, known := byPlan[name]; !known {
			place = fmt.Sprintf("Plans[%.19s…%s", ratelimit.HashKey(name), rest[len(quoted):])
		}
	}
	if place == "" {
		return "table"
	}
	return strings.ToLower(place[:1]) + place[1:]
}
