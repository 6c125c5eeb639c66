package redisstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/redis/go-redis/v9"
)

// FromClient returns a client for the servers of app, an application's client, with the
// options that decisions need, which are those of [NewClient], and a pool of its own. The
// application keeps its timeouts and retries, and neither client waits for a connection of
// the other. The caller closes the returned client. FromClient does no I/O.
//
// The new client takes over the address, database, TLS, user, password and their
// providers, dialer, OnConnect and client name; for a Cluster its nodes or ClusterSlots,
// and NewClient; and the hooks that app has now, which see each command and pipeline but
// no dialing. It takes over neither hooks that OnNewNode adds to the nodes of a Cluster,
// nor Limiter, client-side caching and push notifications.
//
// app must be a [redis.Client], which may use Sentinels, or a [redis.ClusterClient]. If it
// uses Sentinels, app must stay open, because the new client asks them through app. A
// ClusterClient gets one more hook, which lets its commands pass. For any other client
// FromClient returns an error that says what to do.
func FromClient(app redis.UniversalClient) (redis.UniversalClient, error) {
	if isNil(app) {
		return nil, errors.New("redisstore: FromClient: the client is nil")
	}
	switch app := app.(type) {
	case *redis.Client:
		return fromOne(app), nil
	case *redis.ClusterClient:
		return fromCluster(app), nil
	case *redis.Ring:
		return nil, errors.New("redisstore: FromClient: a redis.Ring is no set-up for limits, since the keys of a shard that is down begin with full buckets on another; pass the client of one server or of a Cluster")
	case *redis.AutoPipeliner:
		return nil, errors.New("redisstore: FromClient: pass the client that the redis.AutoPipeliner was made of")
	}
	return nil, fmt.Errorf("redisstore: FromClient: the options of a %T cannot be read; pass the *redis.Client or *redis.ClusterClient inside it, or make a client with redisstore.NewClient", app)
}

// fromOne is FromClient for one server, or for Sentinels, whose dialer finds the server.
func fromOne(app *redis.Client) redis.UniversalClient {
	from := app.Options()
	o := &redis.UniversalOptions{
		Addrs: []string{from.Addr}, DB: from.DB, TLSConfig: from.TLSConfig.Clone(),
		Username: from.Username, Password: from.Password, CredentialsProvider: from.CredentialsProvider,
		CredentialsProviderContext: from.CredentialsProviderContext, StreamingCredentialsProvider: from.StreamingCredentialsProvider,
		OnConnect: from.OnConnect, ClientName: from.ClientName, DisableIdentity: from.DisableIdentity || from.DisableIndentity, //nolint:staticcheck // the application may use the old name
		IdentitySuffix: from.IdentitySuffix, ConnMaxIdleTime: from.ConnMaxIdleTime, ConnMaxLifetime: from.ConnMaxLifetime, ConnMaxLifetimeJitter: from.ConnMaxLifetimeJitter,
	}
	if !isDefaultDialer(from.Dialer) {
		o.Dialer = from.Dialer
	}
	tune(o)
	one := o.Simple()
	one.Network, one.NodeAddress = from.Network, from.NodeAddress
	client := redis.NewClient(one)
	// conn has the hooks of app, and a hook added to conn is not added to app. It never
	// takes a connection, with which it would not be safe for concurrent use.
	conn, pair := app.Conn(), new(pair)
	conn.AddHook(detourEnd{pair: pair})
	client.AddHook(detour{conn, pair})
	return client
}

// fromCluster is FromClient for a Cluster.
func fromCluster(app *redis.ClusterClient) redis.UniversalClient {
	from := app.Options()
	o := &redis.UniversalOptions{
		Addrs: from.Addrs, MaxRedirects: from.MaxRedirects, Dialer: from.Dialer, TLSConfig: from.TLSConfig.Clone(),
		Username: from.Username, Password: from.Password, CredentialsProvider: from.CredentialsProvider,
		CredentialsProviderContext: from.CredentialsProviderContext, StreamingCredentialsProvider: from.StreamingCredentialsProvider,
		OnConnect: from.OnConnect, ClientName: from.ClientName, DisableIdentity: from.DisableIdentity || from.DisableIndentity, //nolint:staticcheck // the application may use the old name
		IdentitySuffix: from.IdentitySuffix, ConnMaxIdleTime: from.ConnMaxIdleTime, ConnMaxLifetime: from.ConnMaxLifetime, ConnMaxLifetimeJitter: from.ConnMaxLifetimeJitter,
	}
	tune(o)
	cluster := clusterOptions(o)
	cluster.NewClient, cluster.ClusterSlots = from.NewClient, from.ClusterSlots
	cluster.Addrs = from.Addrs // with ClusterSlots none, for which Cluster() has put 127.0.0.1:6379
	client := redis.NewClusterClient(cluster)
	pair := new(pair)
	app.AddHook(detourEnd{pair, true})
	client.AddHook(detour{app, pair})
	return client
}

// isDefaultDialer reports whether a dialer is the one that a client makes of its options.
// That one has the application's timeouts.
func isDefaultDialer(dialer any) bool {
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer client.Close()
	return reflect.ValueOf(dialer).Pointer() == reflect.ValueOf(client.Options().Dialer).Pointer()
}

// The hooks of a client cannot be read, but they can be run: a detour sends a command
// through the hooks of another client. The last of those is a detourEnd, which continues
// with what the first client would have done without the detour.
type detour struct {
	through interface {
		Process(ctx context.Context, cmd redis.Cmder) error
		Pipeline() redis.Pipeliner
	}
	pair *pair
}

// A pair links a detour and its end: app may itself be a client from FromClient, with a
// detour of its own.
type pair struct{ _ byte } // not empty, so that no two have one address

// The keys under which a context holds what a detourEnd continues with.
type (
	processKey  struct{ *pair }
	pipelineKey struct{ *pair }
)

func (detour) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d detour) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return d.through.Process(context.WithValue(ctx, processKey{d.pair}, next), cmd)
	}
}

func (d detour) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		pipe := d.through.Pipeline()
		if err := pipe.BatchProcess(ctx, cmds...); err != nil { // only queues
			return err
		}
		_, err := pipe.Exec(context.WithValue(ctx, pipelineKey{d.pair}, next))
		return err
	}
}

// detourEnd is the other end of a detour.
type detourEnd struct {
	pair   *pair
	passes bool // commands without a detour pass
}

func (detourEnd) DialHook(next redis.DialHook) redis.DialHook { return next }

func (e detourEnd) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if on, ok := ctx.Value(processKey{e.pair}).(redis.ProcessHook); ok {
			return on(ctx, cmd)
		}
		if !e.passes {
			return errLost
		}
		return next(ctx, cmd)
	}
}

func (e detourEnd) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if on, ok := ctx.Value(pipelineKey{e.pair}).(redis.ProcessPipelineHook); ok {
			return on(ctx, cmds)
		}
		if !e.passes {
			return errLost
		}
		return next(ctx, cmds)
	}
}

// errLost reports a fault of a hook.
var errLost = errors.New("redisstore: FromClient: a hook of the application's client replaced the context of a command; it must derive its own from it")
