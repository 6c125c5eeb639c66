package transport_test

import (
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// TestWaitErrorText checks that a WaitError prints waits that can be read, the one that is
// needed rounded up and the one that is left rounded down.
func TestWaitErrorText(t *testing.T) {
	for _, c := range []struct {
		err  transport.WaitError
		want string
	}{
		{transport.WaitError{Wait: 1, Left: 0}, "a wait of 1ms more, and Config.MaxWait leaves 0s"},
		{transport.WaitError{Wait: 200_000_001, Left: 199_999_999}, "a wait of 201ms more, and Config.MaxWait leaves 199ms"},
		{transport.WaitError{Wait: 4_987_654_321, Left: 3_999_999_999}, "a wait of 5s more, and Config.MaxWait leaves 3.9s"},
		{transport.WaitError{Wait: time.Hour + 1, Left: time.Minute, Deadline: true}, "a wait of 1h0m1s more, and the context's deadline leaves 1m0s"},
	} {
		if got := c.err.Error(); !strings.HasSuffix(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
