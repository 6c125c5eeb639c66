package admin

import (
	"net/http"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// shadowReport is a [ratelimit.ShadowReport].
type shadowReport struct {
	Since     time.Time   `json:"since"`
	Decisions int64       `json:"decisions"`
	WouldDeny int64       `json:"would_deny"`
	Undecided int64       `json:"undecided"`
	Keys      []shadowKey `json:"keys"`
}

type shadowKey struct {
	Key             string    `json:"key"`
	Limit           string    `json:"limit"`
	Refused         int64     `json:"refused"`
	Overcount       int64     `json:"overcount"`
	Tokens          int64     `json:"tokens"`
	MaxRetryAfterMS *int64    `json:"max_retry_after_ms,omitempty"`
	Never           bool      `json:"never"`
	First           time.Time `json:"first"`
	Last            time.Time `json:"last"`
}

// shadow responds with the keys that shadow limits would have denied.
func (c *call) shadow() {
	c.answer(http.StatusOK, "application/json", shadowReportOf(c.limiter.ShadowReport()))
}

func shadowReportOf(found ratelimit.ShadowReport) shadowReport {
	report := shadowReport{
		Since: found.Since.UTC(), Decisions: found.Decisions, WouldDeny: found.WouldDeny, Undecided: found.Undecided,
		Keys: make([]shadowKey, 0, len(found.Keys)),
	}
	for _, k := range found.Keys {
		key := shadowKey{
			Key: k.Key, Limit: k.Limit, Refused: k.WouldDeny, Overcount: k.Overcount, Tokens: k.Tokens,
			Never: k.MaxRetryAfter == gcra.Never, First: k.First.UTC(), Last: k.Last.UTC(),
		}
		if !key.Never {
			ms := ceilMS(k.MaxRetryAfter)
			key.MaxRetryAfterMS = &ms
		}
		report.Keys = append(report.Keys, key)
	}
	return report
}
