package admin

import (
	"net/http"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// denialReport is a [ratelimit.DenialReport].
type denialReport struct {
	Since  time.Time   `json:"since"`
	Denied int64       `json:"denied"`
	Keys   []deniedKey `json:"keys"`
}

type deniedKey struct {
	Key       string    `json:"key"`
	Limit     string    `json:"limit"`
	Denied    int64     `json:"denied"`
	Overcount int64     `json:"overcount"`
	Last      time.Time `json:"last"`
}

// denied responds with the keys that were denied most.
func (c *call) denied() {
	found := c.limiter.DenialReport()
	if found.Since.IsZero() {
		c.problem(http.StatusNotFound, "The program counts no denials: its limiter was made without ratelimit.Config.Metrics.")
		return
	}
	c.answer(http.StatusOK, "application/json", denialReportOf(found))
}

func denialReportOf(found ratelimit.DenialReport) denialReport {
	report := denialReport{Since: found.Since.UTC(), Denied: found.Denied, Keys: make([]deniedKey, 0, len(found.Keys))}
	for _, k := range found.Keys {
		report.Keys = append(report.Keys, deniedKey{k.Key, k.Limit, k.Denied, k.Overcount, k.Last.UTC()})
	}
	return report
}
