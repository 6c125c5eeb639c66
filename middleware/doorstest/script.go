package doorstest

import (
	"context"
	"net/http"
	"strings"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// Statuses by shorter names.
const (
	served    = http.StatusOK
	denied    = http.StatusTooManyRequests
	noKey     = http.StatusUnauthorized
	ambiguous = http.StatusBadRequest
	down      = http.StatusServiceUnavailable
	forbidden = http.StatusForbidden
)

var (
	alice     = Call{Path: "/", Keys: []string{"alice"}}
	bob       = Call{Path: "/", Keys: []string{"bob"}}
	exempt    = Call{Path: "/", Keys: []string{"exempt"}}
	anonymous = Call{Path: "/"}
	export    = Call{Path: "/export/7", Keys: []string{"alice"}}
)

// parts is the script. A period is long, so that no token comes back in real time. Each key is
// denied once for a lack of tokens, because a second denial gets a place in a queue, which
// depends on the time between the two.
var parts = []part{
	{"Denied", func(p *player) {
		p.open(Setup{}, ratelimit.Config{}, ratelimit.PerHour(3))
		p.want(served, alice)
		p.want(served, alice)
		p.want(served, bob)
		p.want(served, alice)
		p.want(denied, alice)
		p.want(served, bob)
	}},
	{"TwoLimits", func(p *player) {
		p.open(Setup{}, ratelimit.Config{}, ratelimit.PerHour(2), ratelimit.PerDay(3).Named("daily"))
		p.want(served, alice)
		p.want(served, alice)
		p.want(denied, alice)
	}},
	{"Exempt", func(p *player) {
		p.open(Setup{}, ratelimit.Config{}, ratelimit.PerHour(1))
		p.want(served, exempt)
		p.want(served, exempt)
		p.want(served, alice)
		p.want(denied, alice)
	}},
	{"Blocked", func(p *player) {
		p.open(Setup{Routes: []middleware.Route{{Limits: []ratelimit.Limit{ratelimit.PerDay(1).Named("route")}}}}, ratelimit.Config{}, ratelimit.PerHour(1))
		for _, path := range []string{"/", "/export/7"} {
			p.want(forbidden, Call{Path: path, Keys: []string{"blocked"}})
			p.want(forbidden, Call{Path: path, Keys: []string{"blocked-for-an-hour"}})
		}
		p.want(served, alice)
	}},
	{"BlockedInShadowMode", func(p *player) {
		p.open(Setup{Reserve: 3}, ratelimit.Config{Shadow: true}, ratelimit.PerHour(1))
		p.want(forbidden, Call{Path: "/", Keys: []string{"blocked"}})
		p.want(served, alice)
	}},
	{"BlockedAs429", func(p *player) {
		p.open(Setup{BlockedAs429: true}, ratelimit.Config{}, ratelimit.PerHour(1))
		p.want(denied, Call{Path: "/", Keys: []string{"blocked"}})
		p.want(denied, Call{Path: "/", Keys: []string{"blocked-for-an-hour"}})
	}},
	{"NoKey", func(p *player) {
		p.open(Setup{}, ratelimit.Config{}, ratelimit.PerHour(1))
		p.want(served, anonymous)
		p.want(denied, anonymous)
		p.want(served, alice)
	}},
	{"NoKeyRequired", func(p *player) {
		p.open(Setup{RequireKey: true}, ratelimit.Config{}, ratelimit.PerHour(1))
		p.want(noKey, anonymous)
		p.want(noKey, Call{Path: "/", Keys: []string{""}})
		p.want(served, alice)
	}},
	{"TwoKeys", func(p *player) {
		p.open(Setup{}, ratelimit.Config{}, ratelimit.PerHour(1))
		p.want(ambiguous, Call{Path: "/", Keys: []string{"alice", "bob"}})
		p.want(ambiguous, Call{Path: "/", Keys: []string{"alice", "alice"}})
		p.want(served, alice)
	}},
	{"Preflight", func(p *player) {
		p.open(Setup{RequireKey: true}, ratelimit.Config{}, ratelimit.PerHour(1))
		p.preflight(anonymous)
		p.preflight(alice)
		p.preflight(alice)
		p.want(served, alice)
		p.want(denied, alice)
		p.preflight(alice)
	}},
	{"SpellingsOfAKey", func(p *player) {
		long := strings.Repeat("k", middleware.MaxKey)
		p.open(Setup{}, ratelimit.Config{}, ratelimit.PerHour(2))
		p.want(served, alice)
		p.want(served, Call{Path: "/", Keys: []string{" alice "}})
		p.want(denied, alice)
		p.want(served, Call{Path: "/", Keys: []string{"Alice"}})
		p.want(served, Call{Path: "/", Keys: []string{long + "1"}})
		p.want(served, Call{Path: "/", Keys: []string{long + "2"}})
		p.want(served, Call{Path: "/", Keys: []string{long + "1"}})
		p.want(denied, Call{Path: "/", Keys: []string{long + "1"}})
		p.want(served, Call{Path: "/", Keys: []string{long + "2"}})
	}},
	{"Reserve", func(p *player) {
		p.open(Setup{Reserve: 3}, ratelimit.Config{}, ratelimit.PerHour(8))
		p.wantFor(served, alice, p.settling(1)) // 7 left
		p.during(alice, p.settling(0), func(func()) {
			p.want(served, alice) // 7 left, 6 of them held; then 4
			p.want(served, bob)
		})
		p.want(served, alice) // the estimate is charged: 1 left
		p.want(denied, alice)
	}},
	{"ReserveAboveTheRest", func(p *player) {
		p.open(Setup{Reserve: 3}, ratelimit.Config{}, ratelimit.PerHour(5))
		p.during(alice, p.settling(1), func(func()) {
			p.want(denied, alice)
		})
		p.want(served, alice)
	}},
	{"AtOnce", func(p *player) {
		p.open(Setup{}, ratelimit.Config{}, ratelimit.AtOnce(1), ratelimit.PerHour(5))
		p.during(alice, nil, func(func()) {
			p.want(denied, alice)
			p.want(served, bob)
		})
		p.want(served, alice)
	}},
	{"Shadow", func(p *player) {
		p.open(Setup{}, ratelimit.Config{Shadow: true}, ratelimit.PerHour(1))
		p.want(served, alice)
		p.want(served, alice)
		p.want(served, Call{Path: "/", Keys: []string{"alice", "bob"}})
	}},
	{"ShadowLimit", func(p *player) {
		strict := ratelimit.PerHour(1).Named("strict")
		strict.Shadow = true
		p.open(Setup{}, ratelimit.Config{}, ratelimit.PerHour(2), strict)
		p.want(served, alice)
		p.want(served, alice)
		p.want(denied, alice)
	}},
	{"Route", func(p *player) {
		p.open(Setup{Routes: []middleware.Route{{Limits: []ratelimit.Limit{ratelimit.PerDay(1), ratelimit.PerDay(2).Named("more")}}}},
			ratelimit.Config{}, ratelimit.PerHour(3))
		p.want(served, export)
		p.want(denied, export)
		p.want(served, alice)
		p.want(served, alice)
		p.want(denied, alice)
	}},
	{"RouteInstead", func(p *player) {
		p.open(Setup{Routes: []middleware.Route{{Limits: []ratelimit.Limit{ratelimit.PerDay(5)}, Instead: true, Cost: 2}}},
			ratelimit.Config{}, ratelimit.PerHour(1))
		p.want(served, export)
		p.want(served, export)
		p.want(denied, export)
		p.want(served, alice)
		p.want(denied, alice)
	}},
	{"RouteCostAboveBurst", func(p *player) {
		p.open(Setup{Routes: []middleware.Route{{Cost: 4}}}, ratelimit.Config{}, ratelimit.PerHour(3))
		p.want(denied, export) // no wait helps
		p.want(served, alice)
	}},
	{"FailOpen", func(p *player) {
		p.openOn(downStore{}, Setup{}, ratelimit.Config{}, ratelimit.PerHour(1))
		p.want(served, alice)
		p.want(served, alice)
	}},
	{"FailClosed", func(p *player) {
		p.openOn(downStore{}, Setup{FailClosed: true}, ratelimit.Config{}, ratelimit.PerHour(1))
		p.want(down, alice)
		p.want(down, export)
	}},
	{"Panic", func(p *player) {
		p.open(Setup{}, ratelimit.Config{}, ratelimit.AtOnce(1), ratelimit.PerHour(5))
		p.panics(alice)
		p.want(served, alice)
	}},
	{"PanicReserved", func(p *player) {
		p.open(Setup{Reserve: 2}, ratelimit.Config{}, ratelimit.PerHour(5))
		p.panics(alice)
		p.want(served, alice)
		p.want(denied, alice)
	}},
	{"ClientAbort", func(p *player) {
		p.open(Setup{}, ratelimit.Config{}, ratelimit.AtOnce(1), ratelimit.PerHour(5))
		p.during(alice, nil, func(cancel func()) { cancel() })
		p.ended("alice")
		p.want(served, alice) // 3 left: the other one is charged
	}},
}

// panics sends a call whose handler panics. What the framework makes of it is not compared.
func (p *player) panics(c Call) {
	_, ran, _ := p.try(context.Background(), c, func(context.Context) {
		panic("doorstest: the handler panics, as it should here")
	})
	if ran != 1 {
		p.fault("a handler that panics ran %d times, want 1", ran)
	}
	p.ended("alice")
}
