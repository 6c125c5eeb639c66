package admin

import (
	"context"
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
	"github.com/keyrate/keyrate/store"
)

// snapshot returns the content of the table. If there is no table, it responds and returns
// false.
func (c *call) snapshot() (s plans.Snapshot, ok bool) {
	if c.config.Table == nil {
		c.problem(http.StatusNotFound, "The program has no table to show: none was given as admin.Config.Table.")
		return s, false
	}
	return c.edited(), true
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
	Default       *ratelimit.Policy              `json:"default"`
	Plans         map[string]planSummary         `json:"plans"`
	Keys          int                            `json:"keys"`
	Blocked       int                            `json:"blocked,omitempty"`
	Organisations map[string]organisationSummary `json:"organisations,omitempty"`
}

type planSummary struct {
	Policy  *ratelimit.Policy `json:"policy"`
	Members int               `json:"members"`
}

// An organisationSummary has a plan, or a policy in place of one.
type organisationSummary struct {
	Plan   *string           `json:"plan,omitempty"`
	Policy *ratelimit.Policy `json:"policy,omitempty"`
	Keys   int               `json:"keys"`
}

// summary responds with the plans, the organisations and the number of keys of each.
func (c *call) summary() {
	s, ok := c.snapshot()
	if !ok {
		return
	}
	members, keys := s.Count()
	summary := tableSummary{Default: s.Default(), Plans: map[string]planSummary{}, Keys: keys, Blocked: s.Blocked()}
	for name, p := range s.Plans() {
		summary.Plans[name] = planSummary{p, members[name]}
	}
	for name, o := range s.Organisations() {
		of := organisationSummary{Policy: o.Limits, Keys: o.Keys}
		if o.Limits == nil {
			of.Plan = &o.Plan
		}
		if summary.Organisations == nil {
			summary.Organisations = map[string]organisationSummary{}
		}
		summary.Organisations[name] = of
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
		if replaced, err = c.put(s, table); err == nil {
			c.event.ETag = etag(replaced)
			c.w.Header().Set("ETag", c.event.ETag)
			c.begin(http.StatusNoContent, "")
			return
		}
	}
	switch faults := faultsOf(err, s); {
	case errors.Is(err, plans.ErrChanged):
		c.problem(http.StatusPreconditionFailed, changed)
	case len(faults) > 0:
		c.answerProblem(problem{Status: http.StatusUnprocessableEntity, Detail: "The table cannot be used; the one that is in force stays.", Errors: faults})
	case errors.As(err, new(*store.Error)), errors.Is(err, context.DeadlineExceeded) && c.config.Fleet != nil:
		c.fleetFailed(err)
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
	for key := range t.Blocked {
		check("Blocked", key)
	}
	for name, o := range t.Organisations {
		in := fmt.Sprintf("Organisations[%q]", name)
		for _, key := range o.Members {
			check(in+".Members", key)
		}
		for key := range o.Keys {
			check(in+".Keys", key)
		}
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
// key may be in any place. The names of plans and organisations in force are not secret.
func faultsOf(err error, inForce plans.Snapshot) []fault {
	switch e := err.(type) { //nolint:errorlint // not what it wraps
	case *ratelimit.LimitError:
		detail := e.Want
		if more, ok := e.Value.(int); ok && e.Field == "TableConfig" {
			detail = fmt.Sprintf("%d %s", more, detail)
		}
		return []fault{{placeOf(e.Field, inForce), detail}}
	case interface {
		Position() (line, column int)
		Unwrap() []error
	}:
		line, column := e.Position()
		faults := faultsOf(errors.Join(e.Unwrap()...), inForce)
		for i := range faults {
			faults[i].Place += fmt.Sprintf(", line %d, column %d", line, column)
		}
		return faults
	case interface{ Unwrap() []error }:
		var faults []fault
		for _, err := range e.Unwrap() {
			faults = append(faults, faultsOf(err, inForce)...)
		}
		return faults
	default:
		return nil
	}
}

// placeOf makes a place in a TableConfig into one in its JSON form. A plan or an organisation
// that is not in force is named by its hash.
func placeOf(field string, inForce plans.Snapshot) string {
	place := strings.TrimPrefix(strings.TrimPrefix(field, "TableConfig"), ".")
	place = strings.TrimSpace(place)
	if rest, ok := strings.CutPrefix(place, "Plans["); ok {
		return named("plans", rest, inForce.HasPlan)
	}
	if rest, ok := strings.CutPrefix(place, `Organisations["`); ok {
		return named("organisations", `"`+rest, inForce.HasOrganisation)
	}
	if place == "" {
		return "table"
	}
	return lower(place)
}

// named returns the place of a plan or an organisation, whose name in quotes rest begins with.
func named(part, rest string, known func(string) bool) string {
	quoted, err := strconv.QuotedPrefix(rest)
	name, err2 := strconv.Unquote(quoted)
	if err != nil || err2 != nil {
		return part
	}
	rest = rest[len(quoted):]
	if field, ok := strings.CutPrefix(rest, "]."); ok && part == "organisations" {
		rest = "]." + lower(field)
	}
	if !known(name) {
		quoted = fmt.Sprintf("%.19s…", ratelimit.HashKey(name))
	}
	return part + "[" + quoted + rest
}

// lower makes the name of a field that of its JSON form.
func lower(field string) string { return strings.ToLower(field[:1]) + field[1:] }
