package chaos_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// TestFaultHung: Redis hangs for ten seconds. Its connections stay open, and it accepts
// more. Only the first few callers wait for it, as long as a decision may take.
func TestFaultHung(t *testing.T) {
	inPeace(t, func(t *testing.T) (*bout, wants) {
		server := chaos.StartServer(t)
		b := startBout(t, "3", "hung for 10 s", chainConfig{At: server})
		connections := startGauge(50*time.Millisecond, func() int { return connectionsTo(server.Port) - 1 }) // without that of Do
		b.begin(server.Hang)
		time.Sleep(10 * time.Second)
		if state := server.State(); state != 'T' {
			b.lacks("the process is in state %q while it hangs; want T", state)
		}
		b.end(server.Resume)
		b.finish()
		if n := connections.end(); n < 2 || n > 20 {
			b.lacks("there were %d connections to Redis; want 2 to 20, the size of the pool", n)
		} else {
			t.Logf("%d connections to Redis at most", n)
		}
		return b, wants{
			Slowest: budget, Slow: slowAllowed(len(b.fire.keys)), Local: 100 * time.Millisecond, Back: time.Second, Goroutines: 50,
			Ledger: server, Classes: []string{store.ClassTimeout, redisstore.ClassConnect},
		}
	})
}

// connectionsTo returns the number of connections to a port that this host has opened,
// according to the kernel.
func connectionsTo(port int) (n int) {
	file, err := os.Open("/proc/self/net/tcp")
	if err != nil {
		return 0
	}
	defer file.Close()
	want := fmt.Sprintf("0100007F:%04X", port)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		// sl local remote state ...; 01 is ESTABLISHED
		if fields := strings.Fields(lines.Text()); len(fields) > 3 && fields[2] == want && fields[3] == "01" {
			n++
		}
	}
	return n
}
