package testkit

import (
	"testing"
	"time"
)

// TestStallsWorst: a stall counts between two instants if it lasted into the time
// between them, or ended shortly before.
func TestStallsWorst(t *testing.T) {
	day := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return day.Add(time.Duration(ms) * time.Millisecond) }
	s := &Stalls{due: make([]time.Time, 1)}
	for _, one := range [][2]int{{0, 2}, {100, 140}, {90, 141}, {1000, 1500}, {9000, 9010}} { // 2 ms is no stall
		s.await(0, at(one[0]))
		s.came(0, at(one[1]))
	}
	for _, c := range []struct{ from, to, want int }{
		{0, 50, 0}, {0, 95, 51}, {0, 20000, 500}, {150, 900, 51}, {170, 900, 0}, {1100, 1200, 500}, {1501, 9001, 500}, {1600, 9001, 10}, {9100, 9999, 0},
	} {
		if got := s.Worst(at(c.from), at(c.to)); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("between %d ms and %d ms the longest stall is %v; want %d ms", c.from, c.to, got, c.want)
		}
	}
	if got, want := s.Widen(time.Second, time.Time{}), 3*time.Second; got != want {
		t.Errorf("a second is widened to %v; want %v", got, want)
	}
	s.await(0, at(9990)) // and never comes
	if got := s.Worst(at(9995), at(9999)); got < 10*time.Millisecond {
		t.Errorf("a stall that lasts counts %v", got)
	}
}

// TestWatchStalls: a witness of the test's own that comes late is a stall, and is not
// called once the test has ended.
func TestWatchStalls(t *testing.T) {
	var called int
	t.Run("watched", func(t *testing.T) {
		late := make(chan struct{})
		s := WatchStalls(t, func() {
			if called++; called == 1 {
				time.Sleep(2 * tolerable)
				close(late)
			}
		})
		<-late
		if got := s.Worst(time.Time{}, time.Now()); got < 2*tolerable {
			t.Errorf("the longest stall is %v; want at least %v", got, 2*tolerable)
		}
	})
	if called == 0 { // no data race: the witness has ended
		t.Error("the witness was never called")
	}
}
