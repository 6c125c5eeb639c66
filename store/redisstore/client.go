package redisstore

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/keyrate/keyrate/ratelimit"
)

// NewClient returns a client with the options that decisions need: every wait ends
// with its context and after [ratelimit.DefaultTimeout], nothing is sent twice,
// connections are few. The caller closes it. It does no I/O: the first decision makes
// the first connection, and Redis may be down. The URL is one of
//
//	redis://user:password@host:6379/0                         one server
//	rediss://user:password@host:6379/0                        with TLS
//	unix:///run/redis.sock?db=0                               on a socket
//	redis://host1:6379,host2:6379,host3:6379                  a Cluster, some of its nodes
//	redis://host:6379?cluster=true                            a Cluster, one of its nodes
//	redis://host1:26379,host2:26379/0?master_name=mymaster    Sentinels
//	redis://host:6379/0?timeout=200ms                         far away: see below
//
// User and password, percent-encoded, are those of the data servers. Sentinels that
// want a password of their own cannot be written so.
//
// A new connection takes three round trips, and more with TLS, within the time of
// one decision. So with 50 ms Redis must be nearer than 15 ms. For one further away,
// set timeout here, and ratelimit.Config.Timeout to as much.
//
// For other options, make a client with package redis and pass it to [FromClient]; or set
// at least ContextTimeoutEnabled: true and MaxRetries: -1, and with TLS Protocol: 2.
//
// An error does not show the URL, which may hold a password.
func NewClient(rawURL string) (redis.UniversalClient, error) {
	o, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	tune(o)
	if o.IsClusterMode {
		return redis.NewClusterClient(clusterOptions(o)), nil
	}
	return redis.NewUniversalClient(o), nil
}

// tune sets what decisions need. They have the time that ReadTimeout says, or else
// [ratelimit.DefaultTimeout].
func tune(o *redis.UniversalOptions) {
	if o.ReadTimeout == 0 {
		o.ReadTimeout = ratelimit.DefaultTimeout
	}
	o.WriteTimeout, o.DialTimeout, o.PoolTimeout = o.ReadTimeout, o.ReadTimeout, o.ReadTimeout
	o.ContextTimeoutEnabled = true
	// With RESP3 the client looks into each new connection for up to 50 ms, the budget of a
	// decision, for messages that the server may have sent by itself; over TLS there always
	// is something, session tickets, so it waits in vain.
	o.Protocol = 2
	o.DialerRetries = 1 // of each dial; more would outlast the budget
	o.MaxRetries = -1
	// Between redirections in a Cluster. The client's own 8 to 512 ms are the budget of
	// several decisions.
	o.MinRetryBackoff, o.MaxRetryBackoff = time.Millisecond, 4*time.Millisecond
	o.PoolSize, o.MaxActiveConns = 20, 20
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// clusterOptions returns tuned options as those of a Cluster.
func clusterOptions(o *redis.UniversalOptions) *redis.ClusterOptions {
	cluster := o.Cluster()
	cluster.DisableRoutingPolicies = true // no COMMAND in the way of the first decision
	return cluster
}

// checkClient refuses a client with which a decision could hang.
func checkClient(client redis.UniversalClient, trusted bool) error {
	if v := reflect.ValueOf(client); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("redisstore: client is nil; make one with redisstore.NewClient")
	}
	var heedsContext, waits bool
	switch client := client.(type) {
	case *redis.AutoPipeliner:
		return errors.New("redisstore: a redis.AutoPipeliner does not heed deadlines, and may send a decision twice; pass the client that it was made of: decisions share trips anyway")
	case interface{ Options() *redis.Options }:
		o := client.Options()
		heedsContext, waits = o.ContextTimeoutEnabled, o.TLSConfig != nil && o.Protocol != 2
	case interface{ Options() *redis.ClusterOptions }:
		o := client.Options()
		heedsContext, waits = o.ContextTimeoutEnabled, o.TLSConfig != nil && o.Protocol != 2
	case interface{ Options() *redis.RingOptions }:
		o := client.Options()
		heedsContext, waits = o.ContextTimeoutEnabled, o.TLSConfig != nil && o.Protocol != 2
	default:
		if trusted {
			return nil
		}
		return fmt.Errorf("redisstore: the options of a %T cannot be read; make sure that its ContextTimeoutEnabled is true, without which a decision can hang for seconds, and say so with redisstore.Config{TrustClient: true}", client)
	}
	var faults []error
	if !heedsContext {
		faults = append(faults, errors.New("redisstore: the client does not heed deadlines, so that a decision would hang for seconds when Redis does; set ContextTimeoutEnabled: true, and MaxRetries: -1, in its options, or make it with redisstore.NewClient, or of your own with redisstore.FromClient"))
	}
	if waits {
		faults = append(faults, errors.New("redisstore: the client speaks RESP3 over TLS, and would spend up to 50 ms on each new connection, which is all the time that a decision has; set Protocol: 2 in its options, or make it with redisstore.NewClient"))
	}
	return errors.Join(faults...)
}
