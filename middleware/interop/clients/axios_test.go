package clients_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

const nodeTime = 2 * time.Minute // for calls that mostly wait, ten seconds

// TestAxios: axios with axios-retry finishes, with no setting but the defaults:
// axiosRetry(axios). That is three retries after network errors and, for idempotent
// methods, after 5xx and, since 4.2.0, after 429. It waits as long as Retry-After says,
// and not at all without that header. It never sends a POST again after a denial, and
// before 4.2.0 nothing, without a retryCondition and a retryDelay of one's own.
func TestAxios(t *testing.T) {
	t.Parallel()
	dir := installPackages(t)
	t.Run("defaults", func(t *testing.T) {
		t.Parallel()
		a := startAPI(t, ratelimit.PerSecond(5), nil)
		if o := axios(t, dir, a.url, "alice"); o.Finished != calls || o.Error != "" {
			t.Fatalf("call %d failed: %s", o.Finished+1, o.Error)
		}
		a.obeyed(t, "alice")
	})
	silent := lie{"without Retry-After", ratelimit.PerSecond(5), func(h http.Header) {
		h.Del(middleware.HeaderRetryAfter)
		h.Del(middleware.HeaderRetryAfterMs)
	}}
	for _, lie := range append(lies(), silent) {
		t.Run("can fail/"+lie.name, func(t *testing.T) {
			t.Parallel()
			a := startAPI(t, lie.limit, lie.falsify)
			o := axios(t, dir, a.url, "alice")
			if o.Error == "" {
				t.Fatal("it finished")
			}
			t.Logf("after %d calls: %s", o.Finished, o.Error)
			if admitted, denied := a.held(t, "alice"); admitted != o.Finished || denied < 4 {
				t.Errorf("%d calls were admitted, the client knows of %d, and %d were denied; want at least 4", admitted, o.Finished, denied)
			}
		})
	}
}

func axios(t *testing.T, dir, url, key string) outcome {
	t.Helper()
	printed, err := run(t, nodeTime, dir, "node", "axios.mjs", url, key, strconv.Itoa(calls))
	if err != nil {
		t.Fatal(err)
	}
	var o outcome
	if err := json.Unmarshal(printed, &o); err != nil {
		t.Fatalf("it printed %q: %v", printed, err)
	}
	return o
}
