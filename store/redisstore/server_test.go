package redisstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
)

// A server is a redis-server of one test.
type server struct {
	address string
	process *os.Process
	clock   string   // the file that sets a steered clock
	env     []string // the environment that steers it
	admin   *redis.Client
}

// need skips the test if the machine lacks something, or fails it if CI has promised
// that the machine has it.
func need(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("KEYRATE_REQUIRE_REDIS") == "1" {
		t.Fatalf("KEYRATE_REQUIRE_REDIS=1, but this test needs %s: %v", what, err)
	}
	t.Skipf("this test needs %s: %v", what, err)
}

// startRedis starts a server on a free loopback port, in a folder of its own, and ends it
// with the test.
func startRedis(t testing.TB, args ...string) *server { return start(t, nil, args...) }

func start(t testing.TB, env []string, args ...string) *server {
	t.Helper()
	testkit.Long(t, "needs redis-server")
	path, err := exec.LookPath("redis-server")
	need(t, "redis-server on the PATH", err)
	// Another program may take the port before redis-server does.
	for range 5 {
		if s := tryStart(t, path, env, args); s != nil {
			return s
		}
	}
	t.Fatal("redis-server did not start on any of 5 ports")
	return nil
}

func tryStart(t testing.TB, path string, env, args []string) *server {
	t.Helper()
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, append([]string{
		"--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(), "--save", "", "--appendonly", "no", "--daemonize", "no",
	}, args...)...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &output, &output, append(os.Environ(), env...)
	dieWithParent(cmd)
	started, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // the server ends with the thread that started it
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("redis-server said:\n%s", output.String())
		}
	})
	admin := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, Protocol: 2})
	t.Cleanup(func() { _ = admin.Close() })
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-ended:
			return nil
		default:
		}
		err := admin.Ping(t.Context()).Err()
		if err == nil || strings.HasPrefix(err.Error(), "NOAUTH") || strings.HasPrefix(err.Error(), "LOADING") {
			return &server{address: address, process: cmd.Process, admin: admin}
		}
	}
	t.Fatal("redis-server did not answer within 10 s")
	return nil
}

// freeAddress returns a loopback address without a listener.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startSteered starts a server whose clock changes only when the test sets it. The script
// and the expiry of values are as in production.
func startSteered(t testing.TB, args ...string) *server {
	t.Helper()
	testkit.Long(t, "needs redis-server and a C compiler")
	cc, err := exec.LookPath("cc")
	need(t, "a C compiler, to steer the clock of redis-server", err)
	dir := t.TempDir()
	library, clock := filepath.Join(dir, "clock.so"), filepath.Join(dir, "clock")
	if out, err := exec.CommandContext(t.Context(), cc, "-shared", "-fPIC", "-O2", "-o", library, filepath.Join("testdata", "clock.c")).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	s := &server{clock: clock}
	s.setClock(t, epoch)
	env := []string{"LD_PRELOAD=" + library, "CLOCK_FILE=" + clock}
	*s = *start(t, env, args...)
	s.clock, s.env = clock, env
	for _, at := range []time.Time{epoch.Add(time.Hour), epoch} { // check that it works
		s.setClock(t, at)
		if got, err := s.admin.Time(t.Context()).Result(); err != nil || !got.Equal(at) {
			t.Fatalf("the clock of redis-server is at %v, %v; it was set to %v", got, err, at)
		}
	}
	return s
}

// twin starts another server with the same clock.
func (s *server) twin(t testing.TB) *server { return start(t, s.env) }

// setClock sets a steered clock.
func (s *server) setClock(t testing.TB, at time.Time) {
	t.Helper()
	file, err := os.OpenFile(s.clock, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(at.UnixMicro())), 0); err != nil {
		t.Fatal(err)
	}
}

// do sends a command on the admin connection, and fails the test on an error. It returns
// the answer, or nil if there is none.
func (s *server) do(t testing.TB, args ...any) any {
	t.Helper()
	// Also in t.Cleanup, when the test's own context has ended.
	v, err := s.admin.Do(context.WithoutCancel(t.Context()), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

// text, number and list are do for a command that answers with a string, a number or a
// list.
func (s *server) text(t testing.TB, args ...any) string {
	t.Helper()
	return is[string](t, s.do(t, args...))
}

func (s *server) number(t testing.TB, args ...any) int64 {
	t.Helper()
	return is[int64](t, s.do(t, args...))
}

func (s *server) list(t testing.TB, args ...any) []any {
	t.Helper()
	return is[[]any](t, s.do(t, args...))
}

func is[T any](t testing.TB, v any) T {
	t.Helper()
	answer, ok := v.(T)
	if !ok {
		t.Fatalf("the answer is %v", v)
	}
	return answer
}

// info returns one field of INFO.
func (s *server) info(t testing.TB, section, field string) string {
	t.Helper()
	for line := range strings.Lines(s.text(t, "info", section)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name == field {
			return value
		}
	}
	return ""
}

// calls returns how often a command was executed.
func (s *server) calls(t testing.TB, command string) int {
	t.Helper()
	stat := s.info(t, "commandstats", "cmdstat_"+command) // calls=N,usec=...
	n, _ := strconv.Atoi(strings.TrimPrefix(strings.Split(stat, ",")[0], "calls="))
	return n
}
