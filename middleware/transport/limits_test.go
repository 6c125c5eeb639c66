package transport_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestParseReadsKeyrate checks that Parse reads what keyrate's middleware sends.
func TestParseReadsKeyrate(t *testing.T) {
	two, err := ratelimit.NewPolicy(ratelimit.PerSecond(5), ratelimit.PerHour(1000).Named("hourly"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := network{handler: keyrateServer(t, two, middleware.Config{Key: middleware.Header("X-API-Key")})}
		var last *http.Response
		for range 6 {
			response, err := n.RoundTrip(request(t, "https://api.example.com/"))
			if err != nil {
				t.Fatal(err)
			}
			last = response
			_ = response.Body.Close()
		}
		got := transport.Parse(last.Header)
		want := transport.Limits{RetryAfter: 200 * time.Millisecond, All: []transport.Limit{
			{Name: "default", Quota: 5, Window: time.Second, Remaining: 0, Reset: time.Second},
			{Name: "hourly", Quota: 1000, Window: time.Hour, Remaining: 995, Reset: 3582 * time.Second},
		}}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v:\n got %+v\nwant %+v", last.Header, got, want)
		}
	})
}

// TestParseReadsTheLongestName checks that Parse reads the longest names that keyrate
// sends, those of routes included.
func TestParseReadsTheLongestName(t *testing.T) {
	for _, name := range []string{
		strings.Repeat("n", store.MaxName), strings.Repeat("n", store.MaxName-1),
		middleware.RouteName("GET /export/{id}", "a=b"), middleware.RouteName("/"+strings.Repeat("long/", 20), ""),
	} {
		p, err := ratelimit.NewPolicy(ratelimit.PerHour(5).Named(name), ratelimit.PerDay(50))
		if err != nil {
			t.Fatal(err)
		}
		n := network{handler: keyrateServer(t, p, middleware.Config{})}
		response, err := n.RoundTrip(request(t, "https://api.example.com/"))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		all := transport.Parse(response.Header).All
		if len(all) != 2 || all[0].Name != name || all[0].Remaining != 4 || all[0].Quota != 5 || all[0].Window != time.Hour {
			t.Errorf("%v: got %+v", response.Header, all)
		}
	}
}
