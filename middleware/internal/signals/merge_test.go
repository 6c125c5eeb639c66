package signals_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// TestOtherFormDenies checks that of two forms that disagree, the one that denies
// counts.
func TestOtherFormDenies(t *testing.T) {
	checkSent(t, []sent{
		{[]string{`RateLimit: "default";r=4;t=1`, `RateLimit-Policy: "default";q=5;w=1`, "X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"}, []signals.Limit{
			{Name: "default", Quota: 5, Window: time.Second, Remaining: 4, Reset: time.Second}, {Quota: 100, Remaining: 0, Reset: 30 * time.Second},
		}},
		{[]string{"RateLimit-Limit: 5", "RateLimit-Remaining: 4", "X-RateLimit-Limit: 100", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 30"}, one(signals.Limit{Quota: 100, Remaining: 0, Reset: 30 * time.Second})},
		{[]string{"X-RateLimit-Limit: 5", "X-RateLimit-Remaining: 4", "X-Rate-Limit-Limit: 9", "X-Rate-Limit-Remaining: 8"}, one(signals.Limit{Quota: 5, Remaining: 4})},
		{[]string{"RateLimit-Reset: 30", "X-RateLimit-Limit: 9", "X-RateLimit-Remaining: 8"}, one(signals.Limit{Quota: 9, Remaining: 8})},
	})
}

// TestSoManyLimits checks that at most 16 limits are read from all headers together.
func TestSoManyLimits(t *testing.T) {
	var list []string
	for i := range 20 {
		list = append(list, fmt.Sprintf("%d:%d", i+1, i+1))
	}
	many := strings.Join(list, ",")
	if got := parseAt("X-App-Rate-Limit: "+many, "X-Method-Rate-Limit: "+many).All; len(got) != 16 {
		t.Errorf("%d limits, want 16", len(got))
	}
}
