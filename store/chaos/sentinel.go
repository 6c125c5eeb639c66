package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A Sentinel is a primary with two replicas, watched by three Sentinels.
type Sentinel struct {
	Servers   []*Server // the first was the primary at the start
	Sentinels []*Server

	tb testing.TB
}

// sentinelName is the name of the primary for the Sentinels.
const sentinelName = "mymaster"

// sentinelDownAfter is when a primary that does not answer is down. It is shorter than in
// production, so that the tests are.
const sentinelDownAfter = 500 * time.Millisecond

// StartSentinel starts all six and waits until they know each other.
func StartSentinel(tb testing.TB) *Sentinel {
	tb.Helper()
	s := &Sentinel{tb: tb}
	primary := StartServer(tb)
	s.Servers = []*Server{primary}
	for range 2 {
		s.Servers = append(s.Servers, StartServer(tb, "--replicaof", "127.0.0.1", fmt.Sprint(primary.Port)))
	}
	Until(tb, startTime, "the replicas have the primary's data", func() bool {
		return primary.Info("connected_slaves") == "2" &&
			strings.Contains(primary.Info("slave0"), "state=online") && strings.Contains(primary.Info("slave1"), "state=online")
	})
	for range 3 {
		s.Sentinels = append(s.Sentinels, startOneSentinel(tb, primary))
	}
	for _, one := range s.Sentinels {
		Until(tb, 2*startTime, "the Sentinels know each other", func() bool {
			about := one.Info("master0")
			return strings.Contains(about, "slaves=2,sentinels=3") && strings.Contains(about, "status=ok")
		})
	}
	return s
}

func startOneSentinel(tb testing.TB, primary *Server) *Server {
	tb.Helper()
	one := newServer(tb)
	file := filepath.Join(one.dir, "sentinel.conf") // a Sentinel requires a file, and writes to it
	text := fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2\n"+
		"sentinel down-after-milliseconds %s %d\n"+
		"sentinel failover-timeout %s 3000\n",
		sentinelName, primary.Port, sentinelName, sentinelDownAfter.Milliseconds(), sentinelName)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	one.options = []string{file, "--sentinel"}
	one.start()
	return one
}

// URL returns a URL of the Sentinels for redisstore.NewClient.
func (s *Sentinel) URL() string {
	var addrs []string
	for _, one := range s.Sentinels {
		addrs = append(addrs, one.Addr)
	}
	return "redis://" + strings.Join(addrs, ",") + "?master_name=" + sentinelName
}

// Primary returns the server that is the primary according to the first Sentinel and to
// itself, or nil.
func (s *Sentinel) Primary() *Server {
	answer, err := s.Sentinels[0].Try("SENTINEL", "get-master-addr-by-name", sentinelName)
	parts, ok := answer.([]any)
	if err != nil || !ok || len(parts) != 2 {
		return nil
	}
	for _, one := range s.Servers {
		if fmt.Sprint(one.Port) == fmt.Sprint(parts[1]) && one.Role() == "master" {
			return one
		}
	}
	return nil
}
