package storetest

import (
	"github.com/keyrate/keyrate/ratelimit"
)

var healthClauses = []clause{
	{name: "ProvesItself", promise: "ratelimit.Prove finds the store sound, as often as it is asked", check: checkProve},
}

func checkProve(p *probe) {
	for range 3 {
		if err := ratelimit.Prove(p.ctx, p.store, answerTime); err != nil {
			p.fail("Prove returned an error: %v", err)
		}
	}
	p.admit("after the proof", fivePerSecond, 5)
}
