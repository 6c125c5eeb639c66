package outage

import "time"

// stalls are the times in which the machine, or this process, stood still: somebody
// who wants to wake up in a millisecond sees how much later it was.
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
