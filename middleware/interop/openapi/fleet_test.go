package openapi_test

import (
	"context"
	"io"
	"os"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// A fleet is one of a single node, which does as it is asked or fails.
type fleet struct {
	*plans.Table
	fails error
}

func (f fleet) Replace(_ context.Context, _ string, s plans.Snapshot, c plans.TableConfig) (plans.Snapshot, error) {
	if f.fails != nil {
		return plans.Snapshot{}, f.fails
	}
	return s.Replace(c)
}

func (fleet) Changes() []plans.Change {
	return []plans.Change{{Version: 1796062232090, At: time.UnixMilli(1796062232090), Who: "anna", What: []string{"default: 5/s -> 6/s"}}, {Version: 1796062232000}}
}

func (f fleet) RollBack(_ context.Context, _ string, version int64) error {
	switch version {
	case 404:
		return plans.ErrNoVersion
	case 422:
		return &ratelimit.LimitError{Field: "TableConfig.Default", Want: "must fit"}
	}
	return f.fails
}

func (f fleet) Override(_ context.Context, _ string, o plans.Override) error {
	if _, err := o.Normal(time.Now(), f.Snapshot()); err != nil {
		return err
	}
	return f.fails
}

func (f fleet) EndOverride(context.Context, string, string, string) error { return f.fails }

// fleetCases adds those of the table of a fleet.
func fleetCases(all map[string][]call, match string) {
	const until = `"until":"2100-01-01T00:00:00Z"`
	stranger, without := []string{"Authorization: Bearer stranger"}, []string{"Authorization: "} //nolint:gosec // no secret
	all["PUT /table 503 lost"] = []call{{body: table, headers: []string{match}}}
	all["GET /table/changes 200"] = []call{{}}
	all["GET /table/changes 200 fleet"] = []call{{}}
	good := map[string][]call{
		"/table/rollback": {{body: `{"version":1796062232090}`}},
		"/table/override": {{body: `{"key":"bob","factor":10,` + until + `}`}, {body: `{"plan":"gold","policy":"9/s",` + until + `}`}, {body: `{"key":"bob"}`}, {body: `{"address":"203.0.113.0/24","factor":10,` + until + `}`}},
	}
	for path, calls := range good {
		op := "POST " + path
		all[op+" 204 fleet"] = calls
		all[op+" 503 lost"] = calls
		all[op+" 409 raced"] = calls
		all[op+" 404"] = calls // of this node alone
		all[op+" 401 fleet"] = []call{{body: calls[0].body, headers: without}}
		all[op+" 403 fleet"] = []call{{body: calls[0].body, headers: stranger}}
		all[op+" 400 fleet"] = []call{{}, {body: `{"other":1}`}, {body: `{`, read: io.ErrClosedPipe}}
		all[op+" 408 fleet"] = []call{{read: os.ErrDeadlineExceeded}}
		all[op+" 413 fleet"] = []call{{body: strings.Repeat(" ", admin.MaxKeyBody+1)}}
		all[op+" 415 fleet"] = []call{{body: calls[0].body, headers: []string{"Content-Type: "}}}
	}
	all["POST /key/block 204 fleet"] = []call{{body: `{"key":"eve","reason":"chargeback 4711"}`}}
	all["POST /key/block 503 lost"] = []call{{body: `{"key":"eve"}`}}
	all["POST /key/block 503 raced"] = []call{{body: `{"key":"eve"}`}}
	all["POST /key/unblock 404 fleet"] = []call{{body: `{"key":"grace"}`}}
	all["POST /key/unblock 503 lost"] = []call{{body: `{"key":"frank"}`}}
	all["POST /table/rollback 404 fleet"] = []call{{body: `{"version":404}`}}
	all["POST /table/rollback 422 fleet"] = []call{{body: `{"version":422}`}}
	all["POST /table/override 422 fleet"] = []call{{body: `{"key":"bob","factor":-1,` + until + `}`}, {body: `{"key":"bob","policy":"blue",` + until + `}`}}
}
