package admin

import (
	"net/http"
	"sync"
	"time"
)

// How long a stream lasts, in which the authorization of its request is good; how long its
// client may take to receive an event; and how many streams there may be.
const (
	liveTime   = 5 * time.Minute
	frameTime  = 10 * time.Second
	mostLive   = 256
	framePause = time.Second
)

// live responds with a stream of server-sent events: one frame a second, until the client
// disconnects, the server shuts down or liveTime is over. Then a browser connects again.
func (c *call) live() {
	if c.r.Method == http.MethodHead {
		c.begin(http.StatusOK, "text/event-stream")
		return
	}
	if c.streams.Add(1) > mostLive {
		c.streams.Add(-1)
		c.w.Header().Set("Retry-After", "10")
		c.problem(http.StatusServiceUnavailable, "There are too many streams; close other consoles.")
		return
	}
	defer c.streams.Add(-1)
	c.w.Header().Set("X-Accel-Buffering", "no") // or nginx keeps events back
	if c.r.ProtoMajor == 1 {
		c.w.Header().Set("Connection", "close") // the connection keeps the deadline of the last event
	}
	c.begin(http.StatusOK, "text/event-stream")
	end := time.NewTimer(liveTime)
	defer end.Stop()
	for {
		if !c.send(c.feed.frame()) {
			return
		}
		next := time.NewTimer(c.feed.untilNext())
		select {
		case <-next.C:
		case <-end.C:
			return
		case <-c.stop:
			return
		case <-c.r.Context().Done():
			next.Stop()
			return
		}
	}
}

// send sends one event and reports whether there may be another. If what wraps the
// ResponseWriter cannot flush, there may not: the event arrives when the stream ends, and the
// browser connects again for the next one.
func (c *call) send(event []byte) bool {
	to := http.NewResponseController(c.w)
	_ = to.SetWriteDeadline(time.Now().Add(frameTime))
	if _, err := c.w.Write(event); err != nil {
		return false
	}
	return to.Flush() == nil
}

// shutdowns has a channel for each server that has had streams, closed when it shuts down:
// [http.Server.Shutdown] would wait for them.
type shutdowns struct {
	mu      sync.Mutex
	servers map[*http.Server]chan struct{}
}

// of returns the channel of the server of a request, or nil if there is none.
func (s *shutdowns) of(r *http.Request) <-chan struct{} {
	server, ok := r.Context().Value(http.ServerContextKey).(*http.Server)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stop := s.servers[server]; stop != nil {
		return stop
	}
	if s.servers == nil {
		s.servers = make(map[*http.Server]chan struct{})
	}
	stop := make(chan struct{})
	s.servers[server] = stop
	server.RegisterOnShutdown(func() { close(stop) })
	return stop
}
