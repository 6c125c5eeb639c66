package redisstore

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"
)

// options are those of a client that matter to decisions.
type options struct {
	heedsContext            bool // ContextTimeoutEnabled
	slowTLS                 bool // RESP3 over TLS
	read, write, dial, pool time.Duration
}

// optionsOf returns the options of a client. It returns false if they cannot be read.
func optionsOf(client redis.UniversalClient) (options, bool) {
	switch client := client.(type) {
	case interface{ Options() *redis.Options }:
		o := client.Options()
		return options{o.ContextTimeoutEnabled, o.TLSConfig != nil && o.Protocol != 2, o.ReadTimeout, o.WriteTimeout, o.DialTimeout, o.PoolTimeout}, true
	case interface{ Options() *redis.ClusterOptions }:
		o := client.Options()
		return options{o.ContextTimeoutEnabled, o.TLSConfig != nil && o.Protocol != 2, o.ReadTimeout, o.WriteTimeout, o.DialTimeout, o.PoolTimeout}, true
	case interface{ Options() *redis.RingOptions }:
		o := client.Options()
		return options{o.ContextTimeoutEnabled, o.TLSConfig != nil && o.Protocol != 2, o.ReadTimeout, o.WriteTimeout, o.DialTimeout, o.PoolTimeout}, true
	}
	return options{}, false
}

// checkClient rejects a client with which a decision could hang.
func checkClient(client redis.UniversalClient, trusted bool) error {
	if isNil(client) {
		return errors.New("redisstore: client is nil; make one with redisstore.NewClient")
	}
	if _, ok := client.(*redis.AutoPipeliner); ok {
		return errors.New("redisstore: a redis.AutoPipeliner does not heed deadlines, and may send a decision twice; pass the client that it was made of: decisions share trips anyway")
	}
	o, ok := optionsOf(client)
	if !ok && !trusted {
		return fmt.Errorf("redisstore: the options of a %T cannot be read; make sure that its ContextTimeoutEnabled is true, without which a decision can hang for seconds, and confirm it with redisstore.Config{TrustClient: true}", client)
	}
	var faults []error
	if ok && !o.heedsContext {
		faults = append(faults, errors.New("redisstore: the client does not heed deadlines, so that a decision would hang for seconds when Redis does; set ContextTimeoutEnabled: true, and MaxRetries: -1, in its options, or make it with redisstore.NewClient, or of your own with redisstore.FromClient"))
	}
	if o.slowTLS {
		faults = append(faults, errors.New("redisstore: the client speaks RESP3 over TLS, and would spend up to 50 ms on each new connection, which is all the time that a decision has; set Protocol: 2 in its options, or make it with redisstore.NewClient"))
	}
	return errors.Join(faults...)
}

func isNil(client redis.UniversalClient) bool {
	v := reflect.ValueOf(client)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// warnTimeouts returns a warning if decisions are given another time than the client, so
// that one of the two settings has no effect.
func (s *Store) warnTimeouts() string {
	o, _ := optionsOf(s.client)
	// A client whose timeouts are all the same was made for decisions.
	forDecisions := o.read == o.write && o.read == o.dial && o.read == o.pool
	given := time.Duration(s.longest.Load())
	switch {
	case o.read <= 0 || given == 0:
		return ""
	case o.read < given:
		return fmt.Sprintf("decisions are given %v, by ratelimit.Config.Timeout, but the client waits %v for an answer: set timeout=%v in the URL of redisstore.NewClient, or ReadTimeout", given, o.read, given)
	case forDecisions && o.read > given:
		return fmt.Sprintf("the client waits %v for an answer, but decisions are given %v: set ratelimit.Config.Timeout to %v", o.read, given, o.read)
	}
	return ""
}
