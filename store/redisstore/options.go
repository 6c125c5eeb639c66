package redisstore

import (
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// timeouts returns how long the client waits for an answer, and whether all of its
// waits are as long, which says that they are meant for a decision. It returns 0 if
// the options cannot be read.
func timeouts(client redis.UniversalClient) (answer time.Duration, meant bool) {
	switch client := client.(type) {
	case interface{ Options() *redis.Options }:
		o := client.Options()
		return o.ReadTimeout, o.ReadTimeout == o.WriteTimeout && o.ReadTimeout == o.DialTimeout && o.ReadTimeout == o.PoolTimeout
	case interface{ Options() *redis.ClusterOptions }:
		o := client.Options()
		return o.ReadTimeout, o.ReadTimeout == o.WriteTimeout && o.ReadTimeout == o.DialTimeout && o.ReadTimeout == o.PoolTimeout
	case interface{ Options() *redis.RingOptions }:
		o := client.Options()
		return o.ReadTimeout, o.ReadTimeout == o.WriteTimeout && o.ReadTimeout == o.DialTimeout && o.ReadTimeout == o.PoolTimeout
	}
	return 0, false
}

// warnTimeouts returns a warning if decisions have another time than the client, so
// that one of the two settings is without effect.
func (s *Store) warnTimeouts() string {
	answer, meant := timeouts(s.client)
	given := time.Duration(s.longest.Load())
	switch {
	case answer <= 0 || given == 0:
		return ""
	case answer < given:
		return fmt.Sprintf("decisions are given %v, by ratelimit.Config.Timeout, but the client waits %v for an answer: set timeout=%v in the URL of redisstore.NewClient, or ReadTimeout", given, answer, given)
	case meant && answer > given:
		return fmt.Sprintf("the client waits %v for an answer, but decisions are given %v: set ratelimit.Config.Timeout to %v", answer, given, answer)
	}
	return ""
}
