package admin_test

import (
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestShadowOfWhatNeverFits(t *testing.T) {
	d := newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerSecond(5).Shadowed(), ratelimit.Config{}), admin.Config{})
	if w := d.ask(t, "GET", "/shadow", ""); !strings.Contains(w.Body.String(), `"keys":[]}`) {
		t.Errorf("%s", w.Body)
	}
	_, _ = d.limiter.AllowN(t.Context(), "k", 6)
	if w := d.ask(t, "GET", "/shadow", ""); !strings.Contains(w.Body.String(), `"tokens":6,"never":true,`) {
		t.Errorf("%s", w.Body)
	}
}
