//go:build unix

package admin_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
)

// BenchmarkConsoles measures what open consoles cost a program that makes 10,000 decisions a
// second. An operation is a hundredth of a second; "core-%" is how much of one core the whole
// program used. The consoles are in another process.
//
//	go test -run='^$' -bench=Consoles -benchtime=2000x ./middleware/admin
func BenchmarkConsoles(b *testing.B) {
	for _, consoles := range []int{0, 1, 100} {
		b.Run(strconv.Itoa(consoles), func(b *testing.B) {
			c := plans.TableConfig{Default: mustPolicy(b, ratelimit.PerSecond(50)), Plans: map[string]*ratelimit.Policy{}}
			for i := range 20 {
				c.Plans[fmt.Sprint("plan", i)] = mustPolicy(b, ratelimit.PerSecond(50).Named(fmt.Sprint("limit", i)))
			}
			c.Members = map[string]string{}
			for i := range 1000 {
				c.Members[fmt.Sprint("key", i)] = fmt.Sprint("plan", i%20)
			}
			table, err := plans.NewTable(c)
			if err != nil {
				b.Fatal(err)
			}
			limiter := newLimiter(b, memstore.New(memstore.Config{}), table, ratelimit.Config{Metrics: true})
			server := httptest.NewServer(newDeskOn(b, limiter, admin.Config{Table: table}))
			defer server.Close()
			if consoles > 0 {
				defer openConsoles(b, server.Listener.Addr().String(), consoles)()
			}
			n := 0
			next := time.Now()
			decide := func() {
				for range 100 {
					_, _ = limiter.Allow(b.Context(), "key"+strconv.Itoa(n%1000))
					n++
				}
				next = next.Add(10 * time.Millisecond)
				time.Sleep(time.Until(next))
			}
			for range 50 { // until the consoles have had their first frames
				decide()
			}
			b.ResetTimer()
			began, before := time.Now(), processorTime(b)
			for range b.N {
				decide()
			}
			b.StopTimer()
			used := processorTime(b) - before
			b.ReportMetric(100*used.Seconds()/time.Since(began).Seconds(), "core-%")
		})
	}
}

func mustPolicy(b *testing.B, limits ...ratelimit.Limit) *ratelimit.Policy {
	b.Helper()
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// processorTime returns the time for which this process has used a processor.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// openConsoles starts a process with that many streams, and returns a function that ends it.
func openConsoles(b *testing.B, address string, consoles int) (end func()) {
	b.Helper()
	command := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestConsoleClients$")
	command.Env = append(os.Environ(), "KEYRATE_CONSOLES="+address+" "+strconv.Itoa(consoles))
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "open\n" {
		b.Fatalf("the consoles are not open: %q, %v", line, err)
	}
	return func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}
}

// TestConsoleClients is the process of openConsoles.
func TestConsoleClients(t *testing.T) {
	address, n, found := strings.Cut(os.Getenv("KEYRATE_CONSOLES"), " ")
	if !found {
		return
	}
	consoles, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	for range consoles {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET /live HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n", secret)
		in := bufio.NewReader(conn)
		if line, err := in.ReadString('\n'); !strings.Contains(line, "200") {
			t.Fatalf("%q, %v", line, err)
		}
		go func() { _, _ = io.Copy(io.Discard, in) }()
	}
	fmt.Println("open")
	time.Sleep(10 * time.Minute) // until the benchmark ends this process
}
