package redisstore

import (
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/keyrate/keyrate/store"
)

// NewClient returns a client with the options that decisions need: every wait ends
// with its context and after [store.DefaultTimeout], nothing is sent twice, and there
// are few connections. The caller closes it. NewClient does no I/O: the first decision
// makes the first connection, and Redis may be down. The URL is one of
//
//	redis://user:password@host:6379/0                         one server
//	rediss://user:password@host:6379/0                        with TLS
//	unix:///run/redis.sock?db=0                               on a socket
//	redis://host1:6379,host2:6379,host3:6379                  a Cluster, some of its nodes
//	redis://host:6379?cluster=true                            a Cluster, one of its nodes
//	redis://host1:26379,host2:26379/0?master_name=mymaster    Sentinels
//	redis://host:6379/0?timeout=200ms                         a distant server: see below
//
// User and password, percent-encoded, are those of the data servers. A URL cannot hold a
// password of the Sentinels.
//
// A new connection takes three round trips, and more with TLS, out of the time of one
// decision. With 50 ms, the round trip to Redis must take less than 15 ms. If it takes
// longer, set timeout here and ratelimit.Config.Timeout to the same value.
//
// For other options, make a client with package redis and pass it to [FromClient]; or set
// at least ContextTimeoutEnabled: true and MaxRetries: -1, and with TLS Protocol: 2.
//
// The errors do not show the URL, which may hold a password.
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

// tune sets the options that decisions need. Every wait gets ReadTimeout, or
// [store.DefaultTimeout] if that is 0.
func tune(o *redis.UniversalOptions) {
	if o.ReadTimeout == 0 {
		o.ReadTimeout = store.DefaultTimeout
	}
	o.WriteTimeout, o.DialTimeout, o.PoolTimeout = o.ReadTimeout, o.ReadTimeout, o.ReadTimeout
	o.ContextTimeoutEnabled = true
	// With RESP3 the client waits up to 50 ms, the budget of a decision, on each new
	// connection for messages that the server sends by itself. Over TLS it waits in vain,
	// because session tickets look like such a message.
	o.Protocol = 2
	o.DialerRetries = 1 // dials for each connection; more would outlast the budget
	o.MaxRetries = -1
	// Between redirections in a Cluster. go-redis' 8 to 512 ms are the budget of several
	// decisions.
	o.MinRetryBackoff, o.MaxRetryBackoff = time.Millisecond, 4*time.Millisecond
	o.PoolSize, o.MaxActiveConns = 20, 20
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// clusterOptions returns the options of a Cluster for tuned ones.
func clusterOptions(o *redis.UniversalOptions) *redis.ClusterOptions {
	cluster := o.Cluster()
	cluster.DisableRoutingPolicies = true // no COMMAND before the first decision
	return cluster
}
