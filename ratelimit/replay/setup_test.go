package replay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

// read returns the log of a file.
func read(t testing.TB, c replay.Config, files ...string) *replay.Log {
	t.Helper()
	r, err := replay.NewReader(c)
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		if err := r.Add(fmt.Sprint("file", i), strings.NewReader(file)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := r.Log()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// day is a day on which the requests of tests come.
var day = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)

// common is a line of the Combined format.
func common(host string, at time.Time) string {
	return fmt.Sprintf("%s - alice [%s] \"GET /v1/things HTTP/1.1\" 200 17 \"-\" \"curl/8.5.0\"\n", host, at.Format("02/Jan/2006:15:04:05 -0700"))
}

// A request is one that a test puts into a log.
type request struct {
	at   time.Time
	key  string
	cost int
}

// csvOf writes requests in the order in which they are given.
func csvOf(requests []request) string {
	var b strings.Builder
	b.WriteString("time,key,plan,cost\n")
	for _, r := range requests {
		plan := ""
		if strings.HasPrefix(r.key, "gold") {
			plan = "gold"
		}
		fmt.Fprintf(&b, "%s,%s,%s,%d\n", r.at.Format(time.RFC3339Nano), r.key, plan, r.cost)
	}
	return b.String()
}

var csvConfig = replay.Config{Format: replay.CSV, Plan: "plan", Cost: "cost"}

// randomRequests are those of a few keys, in bursts and with pauses, in order.
func randomRequests(rng *rand.Rand, n int, mostCost int) []request {
	at := day
	var requests []request
	for range n {
		if rng.IntN(3) > 0 {
			at = at.Add(time.Duration(rng.ExpFloat64()*300) * time.Millisecond).Add(time.Duration(rng.IntN(1000)) * time.Microsecond)
		}
		if rng.IntN(40) == 0 {
			at = at.Add(time.Duration(rng.IntN(20)) * time.Second)
		}
		kind := [...]string{"gold", "key"}[rng.IntN(2)]
		requests = append(requests, request{at, fmt.Sprint(kind, rng.IntN(1+rng.IntN(8))), 1 + rng.IntN(mostCost)})
	}
	return requests
}

// shuffled returns requests as a server writes them: when they end.
func shuffled(rng *rand.Rand, requests []request) []request {
	late := append([]request(nil), requests...)
	for i := range late {
		j := min(len(late)-1, i+rng.IntN(20))
		late[i], late[j] = late[j], late[i]
	}
	return late
}

// byPlan holds the keys of a plan to a policy, and no other.
type byPlan struct {
	plan   string
	policy *ratelimit.Policy
}

func (p byPlan) PolicyFor(_ context.Context, key string) (*ratelimit.Policy, error) {
	if strings.HasPrefix(key, "gold") == (p.plan == "gold") {
		return p.policy, nil
	}
	return ratelimit.Unlimited, nil
}
