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

// A secured is a redis-server that serves TLS on a port of its own.
type secured struct {
	*chaos.Server
	TLS string // the address for TLS

	log string // a file
}

func startSecured(t testing.TB, c certificate) *secured {
	t.Helper()
	s := &secured{log: filepath.Join(t.TempDir(), "redis.log")}
	s.Server = chaos.StartServer(t, "--loglevel", "verbose", "--logfile", s.log, "--tls-auth-clients", "no")
	s.present(t, c)
	for range 5 { // another program may take the port first
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
	t.Fatal("redis-server does not serve TLS; it must be built with TLS")
	return nil
}

// present makes the server use another certificate.
func (s *secured) present(t testing.TB, c certificate) {
	t.Helper()
	s.Do("CONFIG", "SET", "tls-ca-cert-file", c.authority, "tls-cert-file", c.own, "tls-key-file", c.key)
}

// hangUp closes all connections except its own.
func hangUp(s *chaos.Server) { s.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") }

// logged returns the number of lines in the log of the server that contain a text.
func (s *secured) logged(t testing.TB, what string) int {
	t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), what)
}

// clientOf returns a client of redisstore.NewClient with options that a URL cannot express.
func clientOf(t testing.TB, addr string, change func(o *redis.Options)) redis.UniversalClient {
	t.Helper()
	one, ok := newClient(t, "redis://"+addr).(*redis.Client)
	if !ok {
		t.Fatal("the client is none of one server")
	}
	o := *one.Options()
	o.MaxRetries = -1 // the client has made it 0, which would be the default
	o.Dialer = nil    // it would use the options as they were
	change(&o)
	client := redis.NewClient(&o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// overTLS returns a client with TLS.
func overTLS(t testing.TB, addr string, config *tls.Config) redis.UniversalClient {
	t.Helper()
	return clientOf(t, addr, func(o *redis.Options) { o.TLSConfig = config })
}

// byName returns a client that finds its server with a nameserver.
func byName(t testing.TB, n *nameserver, port int) redis.UniversalClient {
	t.Helper()
	return clientOf(t, fmt.Sprintf("redis.keyrate.test.:%d", port), func(o *redis.Options) { o.Dialer = n.dialer() })
}
