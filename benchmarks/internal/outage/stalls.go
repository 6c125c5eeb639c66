package outage

import "time"

// stalls measures for how long the machine, or this process, stood still: a goroutine that
// sleeps for a millisecond sees how much later it wakes up.
type stalls struct {
	done chan struct{}
	most chan time.Duration
}

func startStalls() *stalls {
	s := &stalls{make(chan struct{}), make(chan time.Duration)}
	go func() {
		const pause = time.Millisecond
		var most time.Duration
		for {
			select {
			case <-s.done:
				s.most <- most
				return
			default:
			}
			before := time.Now()
			time.Sleep(pause)
			most = max(most, time.Since(before)-pause)
		}
	}()
	return s
}

// stop returns the longest of them.
func (s *stalls) stop() time.Duration {
	if s == nil {
		return 0
	}
	close(s.done)
	return <-s.most
}
