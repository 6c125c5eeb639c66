package chaos_test

import (
	"bufio"
	"bytes"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
)

// caseLabel marks the goroutines of one server and those that they start, because other
// tests run in parallel.
const caseLabel = "case"

// goroutines returns the number of goroutines with a label.
func goroutines(label string) int {
	var text bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&text, 1)
	want := strconv.Quote(caseLabel) + ":" + strconv.Quote(label)
	total, group := 0, 0
	lines := bufio.NewScanner(&text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		// "3 @ 0x43 0x44", and of those that have any "# labels: {"case":"x"}"
		if n, _, ok := strings.Cut(line, " @ "); ok {
			group, _ = strconv.Atoi(n)
		} else if strings.HasPrefix(line, "# labels:") && strings.Contains(line, want) {
			total += group
		}
	}
	return total
}

// A gauge reads a number again and again, and keeps the highest.
type gauge struct {
	mu   sync.Mutex
	most int
	stop chan struct{}
	done chan struct{}
}

func startGauge(every time.Duration, read func() int) *gauge {
	g := &gauge{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(g.done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-g.stop:
				return
			case <-tick.C:
			}
			n := read()
			g.mu.Lock()
			g.most = max(g.most, n)
			g.mu.Unlock()
		}
	}()
	return g
}

// end stops the gauge and returns the highest number.
func (g *gauge) end() int {
	close(g.stop)
	<-g.done
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}
