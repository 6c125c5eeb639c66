package redisstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// TestClasses: classify returns one class for each error, and whether certainly nothing was
// executed. The metrics show each class of this package from the start.
func TestClasses(t *testing.T) {
	reply := func(text string) error { return redisError(text) }
	wrapped := func(err error) error { return fmt.Errorf("failed to initialize connection options: %w", err) }
	found, shown := make(map[string]bool), make(map[string]bool)
	for _, p := range metrics.Read(&Store{}).Points(metrics.StoreErrors) {
		shown[p.Labels[0]] = p.Value == 0
	}
	for _, test := range []struct {
		err         error
		class       string
		notExecuted bool
	}{
		{context.Canceled, store.ClassCanceled, false},
		{context.DeadlineExceeded, store.ClassTimeout, false},
		{os.ErrDeadlineExceeded, store.ClassTimeout, false},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, store.ClassTimeout, false},
		{fmt.Errorf("%w: %w", errQueued, context.DeadlineExceeded), store.ClassTimeout, true},
		{fmt.Errorf("%w: %w", errQueued, context.Canceled), store.ClassCanceled, true},

		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, ClassConnect, true},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, ClassConnect, true},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "redis"}}, ClassConnect, true},
		{redis.ErrPoolTimeout, ClassConnect, true},
		{redis.ErrPoolExhausted, ClassConnect, true},
		{redis.ErrClosed, ClassConnect, true},
		{wrapped(x509.UnknownAuthorityError{}), ClassConnect, true},
		{wrapped(&tls.CertificateVerificationError{Err: x509.HostnameError{}}), ClassConnect, true},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, ClassConnect, true},
		{fmt.Errorf("redis: all sentinels specified in configuration are unreachable: %w", context.DeadlineExceeded), ClassConnect, true},
		{errors.New("redis: cluster has no nodes"), ClassConnect, true},
		{errors.New("redis: all ring shards are down"), ClassConnect, true},
		{reply("ERR max number of clients reached"), ClassConnect, true},

		{io.EOF, ClassLost, false},
		{io.ErrUnexpectedEOF, ClassLost, false},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, ClassLost, false},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, ClassLost, false},
		{&net.OpError{Op: "read", Err: net.ErrClosed}, ClassLost, false},

		{wrapped(reply("LOADING Redis is loading the dataset in memory")), ClassLoading, true},
		{reply("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."), ClassBusy, true},
		{reply("READONLY You can't write against a read only replica. script: 6c9, on @user_script:1."), ClassReadOnly, true},
		{reply("ERR Error running script (call to f_6c9): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica."), ClassReadOnly, true},
		{reply("NOREPLICAS Not enough good replicas to write."), ClassReadOnly, true},
		{reply("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), ClassReadOnly, true},
		{reply("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."), ClassReadOnly, true},
		{reply("OOM command not allowed when used memory > 'maxmemory'. script: 6c9, on @user_script:1."), ClassMemory, true},
		{reply("ERR Error running script (call to f_6c9): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'."), ClassMemory, true},
		{reply("CLUSTERDOWN The cluster is down"), ClassCluster, true},
		{reply("TRYAGAIN Multiple keys request during rehashing of slot"), ClassCluster, true},
		{reply("MOVED 3999 127.0.0.1:6381"), ClassCluster, true},
		{reply("ASK 3999 127.0.0.1:6381"), ClassCluster, true},
		{reply("CROSSSLOT Keys in request don't hash to the same slot"), ClassCluster, true},
		{reply("ERR This instance has cluster support disabled"), ClassCluster, true},
		{wrapped(reply("WRONGPASS invalid username-password pair or user is disabled.")), ClassAccess, true},
		{reply("NOAUTH Authentication required."), ClassAccess, true},
		{reply("ERR Protocol error: unauthenticated multibulk length"), ClassAccess, true},
		{reply("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"), ClassAccess, true},
		{reply("NOPERM this user has no permissions to run the 'eval' command"), ClassAccess, true},
		{reply("NOPERM No permissions to access a key"), ClassAccess, true},
		{reply("ERR The user executing the script can't run this command or subcommand script: 6c9, on @user_script:1."), ClassAccess, true},
		{reply("ERR Error running script (call to f_6c9): @user_script:1: The user executing the script can't access at least one of the keys"), ClassAccess, true},
		{reply("ERR ACL failure in script: User default has no permissions to run the 'time' command script: 6c9, on @user_script:1."), ClassAccess, true},
		{reply("ERR user_script:5: attempt to compare number with nil script: 6c9, on @user_script:5."), ClassScript, false},
		{reply("ERR Error running script (call to f_6c9): @user_script:5: user_script:5: attempt to compare number with nil"), ClassScript, false},
		{reply("NOSCRIPT No matching script. Please use EVAL."), ClassScript, true},
		{errAnswer, ClassScript, false},
		{reply("ERR unknown command 'evalsha', with args beginning with: '6c9' '1' 'keyrate:{-OOM a}:x'"), ClassRedis, false},
		{reply("ERR something new"), ClassRedis, false},
		{redis.Nil, ClassRedis, false},
		{errors.New("something else"), store.ClassOther, false},
	} {
		class, notExecuted := classify(test.err)
		if class != test.class || notExecuted != test.notExecuted {
			t.Errorf("%v: class %s, not executed %v; want %s, %v", test.err, class, notExecuted, test.class, test.notExecuted)
		}
		failed, ok := errors.AsType[*store.Error](failure(test.err))
		repeats := strings.Contains(test.err.Error(), "with args") // the arguments, so the error is not wrapped
		if !ok || failed.Class != test.class || errors.Is(failed, test.err) == repeats || strings.Contains(failed.Error(), "with args") {
			t.Errorf("%v: made into %v", test.err, failed)
		}
		switch class {
		case store.ClassTimeout, store.ClassCanceled, store.ClassOther:
		default:
			found[class] = true
		}
	}
	if !maps.Equal(shown, found) {
		t.Errorf("the metrics show %v; want %v", shown, found)
	}
	once := failure(io.EOF)
	if again := failure(fmt.Errorf("again: %w", once)); !errors.Is(again, once) || again.Error() != once.Error() {
		t.Error("an error with a class was given another one")
	}
}

type redisError string

func (e redisError) Error() string { return string(e) }
func (redisError) RedisError()     {}

// A fault is a failure of a real Redis.
type fault struct {
	name   string
	class  string
	begin  func(t *testing.T, s *server) (end func())
	resets bool // Reset works all the same
}

// budget returns the Timeout of calls: long, unless they are expected to time out.
func (f *fault) budget() time.Duration {
	if f.class == store.ClassTimeout {
		return store.DefaultTimeout
	}
	return 5 * time.Second
}

func faults() []fault {
	config := func(name, value, normal string) func(*testing.T, *server) func() {
		return func(t *testing.T, s *server) func() {
			s.do(t, "config", "set", name, value)
			return func() { s.do(t, "config", "set", name, normal) }
		}
	}
	acl := func(rules ...any) func(*testing.T, *server) func() {
		return func(t *testing.T, s *server) func() {
			s.do(t, append([]any{"acl", "setuser", "app"}, rules...)...)
			return func() { s.do(t, "acl", "setuser", "app", "reset", "on", ">secret", "~*", "+@all") }
		}
	}
	return []fault{
		{"stopped", store.ClassTimeout, func(t *testing.T, s *server) func() {
			s.pause(t)
			return func() { s.resume(t) }
		}, false},
		{"writes paused", store.ClassTimeout, func(t *testing.T, s *server) func() {
			s.do(t, "client", "pause", "60000", "write")
			return func() { s.do(t, "client", "unpause") }
		}, false},
		{"busy", ClassBusy, func(t *testing.T, s *server) func() {
			s.do(t, "config", "set", "lua-time-limit", "1")
			other := redis.NewClient(&redis.Options{Addr: s.address, MaxRetries: -1, ReadTimeout: time.Minute})
			var wg sync.WaitGroup
			wg.Go(func() { _ = other.Eval(t.Context(), "while true do end", nil).Err() })
			for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				if err := s.admin.Get(t.Context(), "x").Err(); err != nil && strings.HasPrefix(err.Error(), "BUSY") {
					break
				}
			}
			return func() {
				s.do(t, "script", "kill")
				wg.Wait()
				other.Close()
			}
		}, false},
		{"out of memory", ClassMemory, config("maxmemory", "1", "0"), false},
		{"too few replicas", ClassReadOnly, config("min-replicas-to-write", "1", "0"), false},
		{"a replica", ClassReadOnly, func(t *testing.T, s *server) func() {
			s.do(t, "replicaof", "127.0.0.1", "1")
			return func() { s.do(t, "replicaof", "no", "one") }
		}, false},
		{"a replica that lost its primary", ClassReadOnly, func(t *testing.T, s *server) func() {
			s.do(t, "config", "set", "replica-serve-stale-data", "no")
			s.do(t, "replicaof", "127.0.0.1", "1")
			return func() {
				s.do(t, "replicaof", "no", "one")
				s.do(t, "config", "set", "replica-serve-stale-data", "yes")
			}
		}, false},
		{"without eval", ClassAccess, acl("-eval", "-evalsha"), false},
		{"without time", ClassAccess, acl("-time"), false},
		{"without get", ClassAccess, acl("-get"), true},
		{"without set", ClassAccess, acl("-set"), false},
		{"without the keys", ClassAccess, acl("resetkeys", "~other:*"), false},
	}
}

// TestFaults: with each fault of Redis, a decision ends in time, with an error of the right
// class that contains neither the key nor the password, and is charged at most once. When
// the fault ends, decisions are made again.
func TestFaults(t *testing.T) {
	server := startRedis(t)
	server.do(t, "acl", "setuser", "app", "on", ">secret", "~*", "+@all")
	client := redis.NewClient(&redis.Options{Addr: server.address, Username: "app", Password: "secret", ContextTimeoutEnabled: true, MaxRetries: -1, ReadTimeout: patience})
	defer client.Close()
	s := newStore(t, client, Config{})
	p := policy(t, ratelimit.PerHour(100))
	token, _ := p[0].Cost(1)
	const key = "open sesame"
	stalls := testkit.WatchStalls(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			timeout := patience
			take := func(cost int) (store.Decision, error) {
				return s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: cost, Timeout: timeout})
			}
			if err := s.Reset(t.Context(), store.Request{Key: key, Limits: p}); err != nil {
				t.Fatal(err)
			}
			if d, err := take(1); err != nil || !d.Allowed {
				t.Fatal(d, err)
			}
			timeout = f.budget()
			end := f.begin(t, server)
			failed := 0
			var seen error
			check := func(what string, call func() error) {
				start := time.Now()
				err := call()
				took := time.Since(start)
				seen = err
				if store.ErrorClass(err) != f.class {
					t.Errorf("%s: %v; want class %s", what, err, f.class)
				}
				if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, key) || strings.Contains(text, "secret") {
					t.Errorf("%s: the error contains a secret: %s", what, text)
				}
				if timeout == store.DefaultTimeout {
					wantInTime(t, stalls, what, took)
				}
			}
			for range 3 {
				failed++
				check("Take", func() error { _, err := take(1); return err })
			}
			if !f.resets {
				check("Reset", func() error {
					ctx, cancel := context.WithTimeout(t.Context(), timeout)
					defer cancel()
					return s.Reset(ctx, store.Request{Key: key, Limits: p})
				})
			}
			end()
			if err := wellWithin(patience, func() error { return store.Probe(t.Context(), s, "", time.Second) }); err != nil {
				t.Fatalf("after the fault: %v", err)
			}
			timeout = patience
			d, err := take(0)
			if err != nil {
				t.Fatal(err)
			}
			// When a stopped Redis continues, it executes what it was sent: the calls, then the Reset.
			if n := (d.Debts[0].Micros + token.Micros/2) / token.Micros; n > int64(1+failed) {
				t.Errorf("%d calls were charged %d times", 1+failed, n)
			}
			t.Log(seen)
		})
	}
}

// wellWithin calls try until it succeeds, for at most d, and returns its last error.
func wellWithin(d time.Duration, try func() error) error {
	var err error
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err = try(); err == nil {
			return nil
		}
	}
	return err
}

// TestNoConnection: each cause of a missing connection has its class.
func TestNoConnection(t *testing.T) {
	server := startRedis(t, "--requirepass", "right")
	stranger := httptest.NewUnstartedServer(nil)
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	for _, test := range []struct{ name, url, class string }{
		{"no server there", "redis://" + freeAddress(t), ClassConnect},
		{"no such socket", "unix:///no/such/socket", ClassConnect},
		{"no Cluster there", "redis://" + freeAddress(t) + "?cluster=true", ClassConnect},
		{"no Sentinel there", "redis://" + freeAddress(t) + "?master_name=mymaster", ClassConnect},
		{"no password", "redis://" + server.address, ClassAccess},
		{"wrong password", "redis://:open-sesame@" + server.address, ClassAccess},
		{"wrong user", "redis://ali:open-sesame@" + server.address, ClassAccess},
		{"an unknown certificate", "rediss://:open-sesame@" + stranger.Listener.Addr().String(), ClassConnect},
		{"no TLS there", "rediss://:open-sesame@" + server.address, store.ClassTimeout}, // Redis waits for the rest
	} {
		t.Run(test.name, func(t *testing.T) {
			client, err := NewClient(test.url)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			s := newStore(t, client, Config{})
			p := policy(t, ratelimit.PerHour(100))
			// On a slow machine the decision may time out first.
			_ = wellWithin(patience, func() error {
				start := time.Now()
				_, err = s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1})
				// A dial with the default options may take seconds.
				if took := time.Since(start); took > time.Second {
					t.Errorf("a decision took %v", took)
				}
				if class := store.ErrorClass(err); class != test.class && class == store.ClassTimeout {
					return err
				}
				return nil
			})
			if store.ErrorClass(err) != test.class || strings.Contains(err.Error(), "sesame") {
				t.Errorf("%v; want class %s", err, test.class)
			}
			t.Log(err)
		})
	}

	client := redis.NewClient(&redis.Options{Addr: server.address, Password: "right", ContextTimeoutEnabled: true, ReadTimeout: patience})
	s := newStore(t, client, Config{})
	if err := store.Probe(t.Context(), s, "", time.Second); err != nil {
		t.Error(err)
	}
	client.Close()
	if err := s.Reset(t.Context(), store.Request{Key: "k", Limits: policy(t, ratelimit.PerHour(1))}); store.ErrorClass(err) != ClassConnect {
		t.Errorf("a closed client: %v; want class connect", err)
	}
}

// TestReadOnlyMovesOn: after a failover the connections still lead to the old primary, now
// a replica. A decision that the replica rejects is made at once, and once, on the server
// to which a new connection leads.
func TestReadOnlyMovesOn(t *testing.T) {
	old, primary := startRedis(t), startRedis(t)
	proxy := startProxy(t, old.address)
	s := newStore(t, patient(t, proxy.address), Config{})
	p := policy(t, ratelimit.PerHour(100))
	take := func() store.Decision {
		t.Helper()
		d, err := s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1, Timeout: patience})
		if err != nil || !d.Allowed {
			t.Fatal(d, err)
		}
		return d
	}
	take()
	old.do(t, "replicaof", "127.0.0.1", "1")
	proxy.lead(primary.address)
	if d := take(); d.Debts[0].Micros != 36_000_000 {
		t.Errorf("the new primary was charged %+v; want one token", d.Debts[0])
	}
	old.do(t, "replicaof", "no", "one")
	primary.do(t, "replicaof", "127.0.0.1", "1")
	proxy.lead(old.address)
	if err := s.Reset(t.Context(), store.Request{Key: "k", Limits: p}); err != nil {
		t.Error(err)
	}
}

// TestLoading: while Redis reads its data the error has its own class; then Redis decides.
func TestLoading(t *testing.T) {
	dir := t.TempDir()
	before := startRedis(t, "--dir", dir, "--rdbcompression", "no")
	before.do(t, "eval", "for i = 1, 2000 do redis.call('SET', 'k' .. i, string.rep('x', 100)) end", 0)
	before.do(t, "save")
	server := startRedis(t, "--dir", dir, "--key-load-delay", "300", "--loading-process-events-interval-bytes", "1024")
	s := newStore(t, patient(t, server.address), Config{})
	p := policy(t, ratelimit.PerHour(100))
	_, err := s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1, Timeout: patience})
	if store.ErrorClass(err) != ClassLoading {
		t.Errorf("%v; want class loading", err)
	}
	if err := wellWithin(2*patience, func() error { return store.Probe(t.Context(), s, "", time.Second) }); err != nil {
		t.Errorf("when it has read its data: %v", err)
	}
}

// TestHung: while Redis hangs, each of many callers gets its error in time, and neither
// goroutines nor connections pile up.
func TestHung(t *testing.T) {
	server := startRedis(t)
	proxy := startProxy(t, server.address)
	client, err := NewClient("redis://" + proxy.address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s := newStore(t, client, Config{})
	p := policy(t, ratelimit.PerHour(1000))
	if err := wellWithin(patience, func() error { return store.Probe(t.Context(), s, "", time.Second) }); err != nil {
		t.Fatal(err)
	}
	stalls := testkit.WatchStalls(t)
	server.pause(t)
	base := runtime.NumGoroutine()
	const callers = 300
	var wg sync.WaitGroup
	var mu sync.Mutex
	var slowest time.Duration
	most := 0
	end := time.Now().Add(500 * time.Millisecond)
	for range callers {
		wg.Go(func() {
			for time.Now().Before(end) {
				start := time.Now()
				_, err := s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1})
				took := time.Since(start)
				if store.ErrorClass(err) != store.ClassTimeout && store.ErrorClass(err) != ClassConnect {
					t.Errorf("%v; want class timeout or connect", err)
				}
				mu.Lock()
				slowest = max(slowest, took)
				most = max(most, runtime.NumGoroutine())
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	wantInTime(t, stalls, "the slowest of 300 callers' calls", slowest)
	if most > base+callers+60 {
		t.Errorf("%d goroutines for %d callers and %d from before", most, callers, base)
	}
	if n := proxy.highest.Load(); n > 20 {
		t.Errorf("%d connections; the pool has 20", n)
	}
	server.resume(t)
	if err := wellWithin(patience, func() error { return store.Probe(t.Context(), s, "", time.Second) }); err != nil {
		t.Errorf("after it continues: %v", err)
	}
	t.Logf("slowest %v, %d goroutines beyond the callers, %d connections at most", slowest, most-base-callers, proxy.highest.Load())
}

// TestOddClients: a client that panics, or makes up an answer, results in an error.
func TestOddClients(t *testing.T) {
	server := startRedis(t)
	p := policy(t, ratelimit.PerHour(7)) // with fractions
	var hook oddHook
	client := patient(t, server.address)
	client.AddHook(&hook)
	s := newStore(t, client, Config{})
	for _, test := range []struct {
		name  string
		odd   func(cmd *redis.IntSliceCmd)
		class string
	}{
		{"nothing", func(cmd *redis.IntSliceCmd) { cmd.SetVal(nil) }, ClassScript},
		{"no decision", func(cmd *redis.IntSliceCmd) { cmd.SetVal([]int64{1, 0}) }, ClassScript},
		{"too short", func(cmd *redis.IntSliceCmd) { cmd.SetVal([]int64{1, 0, 5}) }, ClassScript},
		{"too long", func(cmd *redis.IntSliceCmd) { cmd.SetVal([]int64{1, 0, 5, 0, 0}) }, ClassScript},
		{"no array", func(cmd *redis.IntSliceCmd) { cmd.SetErr(errors.New("redis: can't parse array reply: \":1\"")) }, ClassScript},
		{"words", func(cmd *redis.IntSliceCmd) { cmd.SetErr(errors.New("redis: can't parse int reply: \"+OK\"")) }, ClassScript},
		{"no time", func(cmd *redis.IntSliceCmd) { cmd.SetVal([]int64{0, 0, 5, 0}) }, ClassScript},
		{"a negative number of foreign values", func(cmd *redis.IntSliceCmd) { cmd.SetVal([]int64{1, -1, 5, 0}) }, ClassScript},
		{"a debt above the capacity", func(cmd *redis.IntSliceCmd) { cmd.SetVal([]int64{1, 0, 3_600_000_001, 0}) }, ClassScript},
		{"a debt above the capacity, denied", func(cmd *redis.IntSliceCmd) { cmd.SetVal([]int64{1, 0, -3_600_000_002, 0}) }, ClassScript},
		{"a fraction below 0", func(cmd *redis.IntSliceCmd) { cmd.SetVal([]int64{1, 0, 1, -1}) }, ClassScript},
		{"a fraction above one", func(cmd *redis.IntSliceCmd) { cmd.SetVal([]int64{1, 0, 1, 7}) }, ClassScript},
		{"a panic", func(*redis.IntSliceCmd) { panic("open sesame") }, store.ClassPanic},
	} {
		hook.odd = test.odd
		_, err := s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1, Timeout: time.Second})
		if store.ErrorClass(err) != test.class || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v; want class %s", test.name, err, test.class)
		}
	}
	hook.odd = func(*redis.IntSliceCmd) { panic("open sesame") }
	if err := s.Reset(t.Context(), store.Request{Key: "k", Limits: p}); store.ErrorClass(err) != store.ClassPanic {
		t.Errorf("Reset: %v; want class panic", err)
	}
	hook.odd = nil
	if err := store.Probe(t.Context(), s, "", time.Second); err != nil {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Take(ended, store.Request{Key: "k", Limits: p, Cost: 1}); store.ErrorClass(err) != store.ClassCanceled {
		t.Errorf("an ended context: %v; want class canceled", err)
	}
	if err := s.Reset(ended, store.Request{Key: "k", Limits: p}); store.ErrorClass(err) != store.ClassCanceled {
		t.Errorf("an ended context: %v; want class canceled", err)
	}
}

type oddHook struct{ odd func(cmd *redis.IntSliceCmd) }

func (h *oddHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *oddHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *oddHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if script, ok := cmd.(command); ok && h.odd != nil {
			h.odd(script.IntSliceCmd)
			return script.Err()
		}
		return next(ctx, cmd)
	}
}

// wantInTime fails the test if a decision exceeded the default timeout by more than 20 ms
// plus the time that the machine stalled.
func wantInTime(t testing.TB, stalls *testkit.Stalls, what string, took time.Duration) {
	t.Helper()
	if most := stalls.Widen(store.DefaultTimeout+20*time.Millisecond, time.Time{}); took > most {
		t.Errorf("%s took %v; want %v at most", what, took, most)
	}
}

// TestRenamedCommands: no password gets into an error when Redis repeats the arguments of a
// command that it does not have, and without EVALSHA decisions use EVAL.
func TestRenamedCommands(t *testing.T) {
	p := policy(t, ratelimit.PerHour(100))
	take := func(s *Store) (store.Decision, error) {
		return s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1, Timeout: time.Second})
	}
	t.Run("AUTH", func(t *testing.T) {
		server := startRedis(t, "--rename-command", "AUTH", "", "--rename-command", "HELLO", "")
		client, err := NewClient("redis://user:sesame@" + server.address)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		_, err = take(newStore(t, client, Config{}))
		if err == nil || !strings.Contains(err.Error(), "unknown command") || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%v; want an unknown command, without its arguments", err)
		}
	})
	t.Run("EVALSHA", func(t *testing.T) {
		server := startRedis(t, "--rename-command", "EVALSHA", "")
		if d, err := take(newStore(t, patient(t, server.address), Config{})); err != nil || !d.Allowed {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// TestNotCharged: after a refused connection certainly nothing was charged.
func TestNotCharged(t *testing.T) {
	client, err := NewClient("redis://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	s := newStore(t, client, Config{})
	p, err := ratelimit.NewPolicy(ratelimit.PerSecond(5))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Take(t.Context(), store.Request{Key: "key", Limits: p.Compiled(), Cost: 1})
	if failed, ok := err.(*store.Error); !ok || !failed.NotCharged { //nolint:errorlint // it is not wrapped
		t.Errorf("the error is %#v", err)
	}
}
