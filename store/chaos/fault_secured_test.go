package chaos_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store/chaos"
)

// A secured is a redis-server that speaks TLS on a port of its own.
type secured struct {
	*chaos.Server
	TLS string // the address where it speaks TLS

	log string // a file
}

func startSecured(t testing.TB, c certificate) *secured {
	t.Helper()
	s := &secured{log: filepath.Join(t.TempDir(), "redis.log")}
	s.Server = chaos.StartServer(t, "--loglevel", "verbose", "--logfile", s.log, "--tls-auth-clients", "no")
	s.present(t, c)
	for range 5 { // somebody may take the port before Redis does
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.TLS = l.Addr().String()
		_ = l.Close()
		_, port, _ := net.SplitHostPort(s.TLS)
		if _, err = s.Try("CONFIG", "SET", "tls-port", port); err == nil {
			return s
		}
		t.Logf("TLS on %s: %v", s.TLS, err)
	}
	t.Fatal("redis-server does not speak TLS; it must be one that was built with it")
	return nil
}

// present makes the server show another certificate from now on.
func (s *secured) present(t testing.TB, c certificate) {
	t.Helper()
	s.Do("CONFIG", "SET", "tls-ca-cert-file", c.authority, "tls-cert-file", c.own, "tls-key-file", c.key)
}

// hangUp ends all connections but the one that asks for it.
func hangUp(s *chaos.Server) { s.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }

// logged counts the lines in which the server has written something down.
func (s *secured) logged(t testing.TB, what string) int {
	t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), what)
}

// clientOf returns a client as redisstore.NewClient makes it, but for what its URL has no
// words for.
func clientOf(t testing.TB, addr string, change func(o *redis.Options)) redis.UniversalClient {
	t.Helper()
	one, ok := newClient(t, "redis://"+addr).(*redis.Client)
	if !ok {
		t.Fatal("the client is none of one server")
	}
	o := *one.Options()
	o.MaxRetries = -1 // there it is 0 by now, which would be the default
	o.Dialer = nil    // that of the options as they were
	change(&o)
	client := redis.NewClient(&o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// overTLS returns a client of a server that speaks TLS.
func overTLS(t testing.TB, addr string, config *tls.Config) redis.UniversalClient {
	t.Helper()
	return clientOf(t, addr, func(o *redis.Options) { o.TLSConfig = config })
}

// byName returns a client that asks a nameserver where its server is.
func byName(t testing.TB, n *nameserver, port int) redis.UniversalClient {
	t.Helper()
	return clientOf(t, fmt.Sprintf("redis.keyrate.test.:%d", port), func(o *redis.Options) { o.Dialer = n.dialer() })
}
