package redisstore

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// fakeSentinel returns the address of a Sentinel with one primary.
func fakeSentinel(t *testing.T, primary string) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	host, port, _ := strings.Cut(primary, ":")
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					args, err := readCommand(r)
					if err != nil {
						return
					}
					switch strings.ToLower(strings.Join(args[:min(2, len(args))], " ")) {
					case "sentinel get-master-addr-by-name":
						fmt.Fprintf(conn, "*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(host), host, len(port), port)
					case "sentinel sentinels":
						fmt.Fprint(conn, "*0\r\n")
					default:
						if args[0] == "subscribe" {
							fmt.Fprint(conn, "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n")
							continue
						}
						fmt.Fprint(conn, "-ERR unknown command\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// readCommand reads one command.
func readCommand(r *bufio.Reader) (args []string, err error) {
	line := func() string {
		var s string
		if err == nil {
			s, err = r.ReadString('\n')
		}
		return strings.TrimRight(s, "\r\n")
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(line(), "*"))
	for range n {
		size, _ := strconv.Atoi(strings.TrimPrefix(line(), "$"))
		b := make([]byte, size+2)
		if err == nil {
			_, err = io.ReadFull(r, b)
		}
		args = append(args, string(b[:size]))
	}
	if err == nil && len(args) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return args, err
}

// TestFromClient: for a client with the default options of go-redis, FromClient returns one
// that decides, with the application's hooks and over connections of its own.
func TestFromClient(t *testing.T) {
	server := miniredis.RunT(t)
	server.RequireUserAuth("ali", "sesame")
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	secure, err := miniredis.RunTLS(&tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer secure.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	for _, test := range []struct {
		name string
		app  func() redis.UniversalClient
	}{
		{"one server", func() redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "ali", Password: "sesame", DB: 3})
		}},
		{"credentials from a provider, and a dialer", func() redis.UniversalClient {
			return redis.NewClient(&redis.Options{
				Addr: "nowhere:1", CredentialsProvider: func() (string, string) { return "ali", "sesame" }, ClientName: "app",
				Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, server.Addr())
				},
			})
		}},
		{"a clone with another timeout", func() redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "ali", Password: "sesame"}).WithTimeout(time.Minute)
		}},
		{"universal", func() redis.UniversalClient {
			return redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{server.Addr()}, Username: "ali", Password: "sesame"})
		}},
		{"Cluster", func() redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{Username: "ali", Password: "sesame", ReadOnly: true, RouteRandomly: true, ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
				return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: server.Addr()}}}}, nil
			}})
		}},
		{"Sentinels", func() redis.UniversalClient {
			return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{fakeSentinel(t, server.Addr())}, Username: "ali", Password: "sesame"})
		}},
		{"TLS", func() redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: secure.Addr(), TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, ServerName: "example.com", RootCAs: roots}})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			app := test.app()
			defer app.Close()
			var seen sent
			app.AddHook(&seen)
			if _, err := New(app, Config{}); err == nil {
				t.Fatal("New has accepted the application's client, so this test shows nothing")
			}
			client, err := FromClient(app)
			if err != nil {
				t.Fatal(err)
			}
			if n := app.PoolStats().TotalConns + client.PoolStats().TotalConns; n != 0 {
				t.Errorf("%d connections before the first command", n)
			}
			s := newStore(t, client, Config{Prefix: strings.ReplaceAll(test.name, " ", "-")})
			checkTuned(t, client)

			p := policy(t, ratelimit.PerDay(3))
			admitted, attempt := 0, 0
			err = wellWithin(8*patience, func() error { // the client's 50 ms may be too short on a machine that stalls, especially with TLS
				attempt++
				var calls []*call
				for i := range 20 {
					r := store.Request{Key: fmt.Sprint(attempt, " ", i%5), Limits: p, Cost: 1, Timeout: patience}
					calls = append(calls, newCall(t.Context(), &s.calls, r, s.names.owner("", r.Key)))
				}
				s.send(t.Context(), calls)
				admitted = 0
				for _, c := range calls {
					if c.err != nil {
						return c.err
					}
					if c.decision.Allowed {
						admitted++
					}
				}
				return nil
			})
			if err != nil || admitted != 15 {
				t.Errorf("%d calls were admitted by 5 bursts of 3: %v", admitted, err)
			}
			if commands := seen.take(); !slices.Contains(commands, "evalsha") {
				t.Errorf("the application's hook has seen the commands %q; want evalsha", commands)
			}
			if n := app.PoolStats().TotalConns; n != 0 && test.name != "Cluster" {
				t.Errorf("the application's pool has %d connections; want none", n)
			}
			err = wellWithin(patience, func() error {
				pipe := client.Pipeline()
				one, two := pipe.Set(t.Context(), "x", "1", 0), pipe.Get(t.Context(), "x")
				if _, err := pipe.Exec(t.Context()); err == nil && (one.Val() != "OK" || two.Val() != "1") {
					t.Errorf("a pipeline: %q, %q", one.Val(), two.Val())
				} else if err != nil {
					return err
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			if commands := seen.take(); !slices.Contains(commands, "get") {
				t.Errorf("the application's hook has seen the commands %q of a pipeline; want get", commands)
			}
			if err := client.Close(); err != nil {
				t.Error(err)
			}
			if v, err := app.Get(t.Context(), "x").Result(); err != nil || v != "1" {
				t.Errorf("the application's client, after ours was closed: %q, %v", v, err)
			}
			if commands := seen.take(); !slices.Contains(commands, "get") {
				t.Errorf("the application's hook has seen the commands %q of its own client; want get", commands)
			}
		})
	}
}

// checkTuned fails the test unless a client has the options that decisions need.
func checkTuned(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	const d = store.DefaultTimeout
	switch client := client.(type) {
	case *redis.Client:
		o := client.Options()
		if o.DialTimeout != d || o.ReadTimeout != d || o.WriteTimeout != d || o.PoolTimeout != d || o.DialerRetries != 1 || o.MaxRetries != 0 ||
			o.Protocol != 2 || o.PoolSize != 20 || o.MaxActiveConns != 20 || o.MinIdleConns != 0 || !o.ContextTimeoutEnabled {
			t.Errorf("%+v", o)
		}
	case *redis.ClusterClient:
		o := client.Options()
		if o.DialTimeout != d || o.ReadTimeout != d || o.WriteTimeout != d || o.PoolTimeout != d || o.DialerRetries != 1 || o.Protocol != 2 ||
			o.PoolSize != 20 || o.MaxActiveConns != 20 || o.MinIdleConns != 0 || !o.ContextTimeoutEnabled || !o.DisableRoutingPolicies ||
			o.ReadOnly || o.RouteRandomly || o.RouteByLatency || o.MinRetryBackoff != time.Millisecond {
			t.Errorf("%+v", o)
		}
	default:
		t.Errorf("a %T", client)
	}
}

// TestFromClientPanic: a hook of the application that panics is an error of the decision.
func TestFromClientPanic(t *testing.T) {
	server := miniredis.RunT(t)
	app := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer app.Close()
	app.AddHook(exploding{"evalsha", func() { panic("canary") }})
	client, err := FromClient(app)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := newStore(t, client, Config{})
	err = wellWithin(patience, func() error { // the client's 50 ms may be too short for a connection on a busy machine
		_, err := s.Take(t.Context(), store.Request{Key: "k", Limits: policy(t, ratelimit.PerDay(3)), Cost: 1, Timeout: patience})
		if store.ErrorClass(err) == store.ClassPanic {
			return nil
		}
		return fmt.Errorf("%w; want class panic", err)
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFromClientOnce: a decision whose answer was lost is not sent again, although the
// application's client retries, and has the timeout of our client.
func TestFromClientOnce(t *testing.T) {
	var commands atomic.Int64
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // answers the commands that set up a connection, and no script call
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					args, err := readCommand(r)
					if err != nil {
						return
					}
					if strings.HasPrefix(args[0], "eval") {
						commands.Add(1)
						return
					}
					fmt.Fprint(conn, "+OK\r\n")
				}
			}()
		}
	}()
	app := redis.NewClient(&redis.Options{Addr: l.Addr().String()})
	defer app.Close()
	client, err := FromClient(app)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = newStore(t, client, Config{}).Take(t.Context(), store.Request{Key: "k", Limits: policy(t, ratelimit.PerDay(3)), Cost: 1})
	if err == nil || commands.Load() > 1 {
		t.Errorf("a decision whose answer was lost was sent %d times: %v", commands.Load(), err)
	}
}

// TestFromClientRejects: the error for an unsupported client says what to do.
func TestFromClientRejects(t *testing.T) {
	one := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer one.Close()
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	defer ring.Close()
	pipeliner, err := one.AutoPipeline()
	if err != nil {
		t.Fatal(err)
	}
	type wrapped struct{ redis.UniversalClient }
	for _, test := range []struct {
		name string
		app  redis.UniversalClient
		want string
	}{
		{"nil", nil, "nil"},
		{"typed nil", (*redis.Client)(nil), "nil"},
		{"typed nil Cluster", (*redis.ClusterClient)(nil), "nil"},
		{"Ring", ring, "one server or of a Cluster"},
		{"AutoPipeliner", pipeliner, "was made of"},
		{"wrapped", wrapped{one}, "redisstore.wrapped"},
	} {
		client, err := FromClient(test.app)
		if client != nil || err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "redisstore: ") {
			t.Errorf("%s: %v, %v; want it to say %q", test.name, client, err, test.want)
		}
	}
}

// TestFromClientConcurrently: many callers at once use the application's hooks, also while
// hooks are added.
func TestFromClientConcurrently(t *testing.T) {
	server := miniredis.RunT(t)
	for name, app := range map[string]redis.UniversalClient{
		"Client": redis.NewClient(&redis.Options{Addr: server.Addr()}),
		"ClusterClient": redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: server.Addr()}}}}, nil
		}}),
	} {
		t.Run(name, func(t *testing.T) {
			defer app.Close()
			var seen sent
			app.AddHook(&seen)
			client, err := FromClient(app)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			s := newStore(t, client, Config{})
			var wg sync.WaitGroup
			var decided atomic.Int64
			for i := range 32 {
				wg.Go(func() {
					for j := range 5 {
						if _, err := s.Take(t.Context(), store.Request{Key: fmt.Sprint(i, j), Limits: policy(t, ratelimit.PerDay(3)), Cost: 1, Timeout: patience}); err == nil {
							decided.Add(1)
						}
						_ = app.Ping(t.Context()).Err()
					}
				})
			}
			app.AddHook(new(sent))
			wg.Wait()
			if decided.Load() == 0 {
				t.Error("nothing was decided")
			}
			if commands := seen.take(); !slices.Contains(commands, "evalsha") || !slices.Contains(commands, "ping") {
				t.Errorf("the hook has seen the commands %q; want those of both clients", commands)
			}
		})
	}
}

// TestFromClientOfFromClient: FromClient takes a client from FromClient like any other, and
// the hooks of the first one see each command once.
func TestFromClientOfFromClient(t *testing.T) {
	server := miniredis.RunT(t)
	for name, app := range map[string]redis.UniversalClient{
		"Client": redis.NewClient(&redis.Options{Addr: server.Addr()}),
		"ClusterClient": redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: server.Addr()}}}}, nil
		}}),
	} {
		t.Run(name, func(t *testing.T) {
			defer app.Close()
			var seen sent
			app.AddHook(&seen)
			client := app
			for range 3 {
				next, err := FromClient(client)
				if err != nil {
					t.Fatal(err)
				}
				defer next.Close()
				client = next
				if cluster, ok := client.(*redis.ClusterClient); ok && len(cluster.Options().Addrs) > 0 {
					t.Fatalf("the client knows %q, which the application has not named", cluster.Options().Addrs)
				}
				// The client's 50 ms may be too short for its first connection on a busy machine.
				if err := wellWithin(patience, func() error { return client.Ping(t.Context()).Err() }); err != nil {
					t.Fatal(err)
				}
				seen.take()
				if err := client.Ping(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				if _, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error { return p.Echo(t.Context(), "x").Err() }); err != nil {
					t.Fatal(err)
				}
				if _, err := client.TxPipelined(t.Context(), func(p redis.Pipeliner) error { return p.Set(t.Context(), "y", 1, 0).Err() }); err != nil {
					t.Fatal(err)
				}
				commands := seen.take()
				for _, command := range []string{"ping", "echo", "set"} {
					if n := len(slices.DeleteFunc(slices.Clone(commands), func(c string) bool { return c != command })); n != 1 {
						t.Errorf("the hook has seen %s %d times, want once: %q", command, n, commands)
					}
				}
			}
			if err := app.Ping(t.Context()).Err(); err != nil {
				t.Errorf("the application's own client: %v", err)
			}
			r := store.Request{Key: "k", Limits: policy(t, ratelimit.PerDay(3)), Cost: 1, Timeout: patience}
			s := newStore(t, client, Config{})
			if err := wellWithin(patience, func() error {
				_, err := s.Take(t.Context(), r)
				return err
			}); err != nil {
				t.Errorf("%v; want a decision", err)
			}
		})
	}
}

// forgetful is a hook that replaces the context of a command.
type forgetful struct{ sent }

func (h *forgetful) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, c redis.Cmder) error { return next(context.Background(), c) }
}

// TestFromClientLostContext: the error says so if a hook replaces the context.
func TestFromClientLostContext(t *testing.T) {
	server := miniredis.RunT(t)
	app := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer app.Close()
	app.AddHook(&forgetful{})
	client, err := FromClient(app)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := newStore(t, client, Config{})
	err = wellWithin(patience, func() error {
		_, err := s.Take(t.Context(), store.Request{Key: "k", Limits: policy(t, ratelimit.PerDay(3)), Cost: 1, Timeout: patience})
		if err != nil && strings.Contains(err.Error(), "replaced the context") {
			return nil
		}
		return fmt.Errorf("%w; want it to say what the hook does", err)
	})
	if err != nil {
		t.Error(err)
	}
}
