package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// startTime is how long a server may take to start or to end, also on a busy machine.
const startTime = 30 * time.Second

// A Server is a redis-server process. Its methods end the test if they fail, and must be
// called on the goroutine of the test, except for Do, Try and the counts.
type Server struct {
	Addr string // 127.0.0.1:PORT
	Port int

	tb      testing.TB
	path    string
	dir     string
	options []string
	output  output
	process *exec.Cmd
	ended   chan struct{}
	admin   *redis.Client
}

// StartServer starts a redis-server without persistence. Options are those of its command
// line, such as "--maxmemory", "4mb"; the last of a kind counts.
func StartServer(tb testing.TB, options ...string) *Server {
	tb.Helper()
	s := newServer(tb, options...)
	s.start()
	return s
}

func newServer(tb testing.TB, options ...string) *Server {
	tb.Helper()
	s := &Server{tb: tb, path: Require(tb), dir: tb.TempDir(), options: options}
	s.take(freePort(tb))
	tb.Cleanup(func() {
		s.Kill()
		_ = s.admin.Close()
		if tb.Failed() {
			tb.Logf("redis-server on %s ended its output with:\n%s", s.Addr, &s.output)
		}
	})
	return s
}

// take gives the server a port.
func (s *Server) take(port int) {
	if s.admin != nil {
		_ = s.admin.Close()
	}
	s.Port, s.Addr = port, fmt.Sprintf("127.0.0.1:%d", port)
	// After PoolSize refused connections the client dials only once a second.
	s.admin = redis.NewClient(&redis.Options{
		Addr: s.Addr, Protocol: 2, MaxRetries: -1, DialerRetries: 1, PoolSize: 1000, ContextTimeoutEnabled: true, DisableIdentity: true,
	})
}

// start starts the process and waits until it answers. If another program has taken the
// port, it tries another one.
func (s *Server) start() {
	s.tb.Helper()
	for range 5 {
		s.launch()
		if s.answers() {
			return
		}
		s.Kill()
		if !strings.Contains(s.output.String(), "Address already in use") {
			break
		}
		s.take(freePort(s.tb))
	}
	s.tb.Fatalf("redis-server does not answer on %s; it printed:\n%s", s.Addr, &s.output)
}

// launch starts the process without waiting for it.
func (s *Server) launch() {
	s.tb.Helper()
	args := []string{
		"--port", strconv.Itoa(s.Port), "--bind", "127.0.0.1", "--dir", s.dir, "--daemonize", "no",
		"--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0",
	}
	if len(s.options) > 0 && !strings.HasPrefix(s.options[0], "--") {
		args = slices.Insert(args, 0, s.options[0]) // a file comes first, so that the other options override it
		args = append(args, s.options[1:]...)
	} else {
		args = append(args, s.options...)
	}
	// A cleanup ends the process, after the end of the test's context.
	s.process = exec.CommandContext(context.Background(), s.path, args...)
	s.process.Stdout, s.process.Stderr = &s.output, &s.output
	s.process.SysProcAttr = noOrphan()
	if err := s.process.Start(); err != nil {
		s.tb.Fatalf("redis-server cannot be started: %v", err)
	}
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		_ = process.Wait()
		close(ended)
	}()
}

// answers waits until the process answers a PING, even with an error. It returns false if
// the process ends.
func (s *Server) answers() bool {
	deadline := time.Now().Add(Patience(startTime))
	for time.Now().Before(deadline) {
		select {
		case <-s.ended:
			return false
		default:
		}
		var reply redis.Error
		if _, err := s.Try("PING"); err == nil || errors.As(err, &reply) {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// URL returns a URL for redisstore.NewClient.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Kill ends the process with SIGKILL and waits for its end. Its memory is lost.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop ends the process with SIGTERM: it saves its data if it is configured to.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

func (s *Server) end(signal syscall.Signal) {
	if s.process == nil || s.process.Process == nil {
		return
	}
	_ = s.process.Process.Signal(signal)
	select {
	case <-s.ended:
	case <-time.After(Patience(startTime)):
		s.tb.Errorf("redis-server on %s does not end on %v", s.Addr, signal)
		_ = s.process.Process.Kill()
		<-s.ended
	}
}

// Restart starts the process again after Kill or Stop, on the same port, with more
// options, and waits until it answers.
func (s *Server) Restart(options ...string) {
	s.tb.Helper()
	s.options = append(s.options, options...)
	Until(s.tb, startTime, "redis-server answers again", func() bool {
		s.launch()
		return s.answers()
	})
}

// Hang stops the process with SIGSTOP, as a machine that swaps may: until Resume its
// connections stay open, and it answers nothing.
func (s *Server) Hang() {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
	Until(s.tb, startTime, "redis-server has stopped", func() bool { return s.State() == 'T' })
}

// Resume ends Hang.
func (s *Server) Resume() {
	s.tb.Helper()
	s.signal(syscall.SIGCONT)
}

func (s *Server) signal(signal syscall.Signal) {
	s.tb.Helper()
	if err := s.process.Process.Signal(signal); err != nil {
		s.tb.Fatalf("redis-server on %s cannot be sent %v: %v", s.Addr, signal, err)
	}
}

// State returns the state of the process as Linux shows it: R or S if it is alive, T if it
// is stopped, and 0 if it has ended. Tests check Kill and Hang with it.
func (s *Server) State() byte {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	if err != nil {
		return 0
	}
	// pid (name) state ...
	if at := strings.LastIndexByte(string(text), ')'); at >= 0 && at+2 < len(text) {
		return text[at+2]
	}
	return 0
}

// Try sends a command on a connection of its own.
func (s *Server) Try(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience(5*time.Second)) // cleanups use it after the end of the test's context
	defer cancel()
	return s.admin.Do(ctx, args...).Result()
}

// Do is Try, and an error fails the test.
func (s *Server) Do(args ...any) any {
	s.tb.Helper()
	answer, err := s.Try(args...)
	if err != nil && !errors.Is(err, redis.Nil) {
		s.tb.Errorf("%v on %s: %v", args[0], s.Addr, err)
	}
	return answer
}

// Info returns a field of INFO, or "".
func (s *Server) Info(field string) string {
	text, err := s.Try("INFO", "everything")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(fmt.Sprint(text)) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Errors returns the number of answers with an error such as "MOVED".
func (s *Server) Errors(name string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(s.Info("errorstat_"+name), "count="))
	return n
}

// Calls returns how often the server has executed a command such as "evalsha".
func (s *Server) Calls(command string) int {
	calls, _, _ := strings.Cut(strings.TrimPrefix(s.Info("cmdstat_"+command), "calls="), ",")
	n, _ := strconv.Atoi(calls)
	return n
}

// Role returns "master", "slave" or "sentinel", or "" if the server does not answer.
func (s *Server) Role() string {
	answer, err := s.Try("ROLE")
	if parts, ok := answer.([]any); ok && err == nil && len(parts) > 0 {
		return fmt.Sprint(parts[0])
	}
	return ""
}
