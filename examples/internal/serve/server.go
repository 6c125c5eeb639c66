package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// CheckAddr returns an error unless addr can be the value of the flag -addr.
func CheckAddr(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("invalid value %q for flag -addr: must be HOST:PORT or :PORT, such as -addr localhost:8081", addr)
	}
	return nil
}

// API listens on addr, the value of the flag -addr, prints intro with the address in place
// of each URL, and serves until ctx ends.
func API(ctx context.Context, addr string, handler http.Handler, out io.Writer, intro string) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("flag -addr %s: %w; choose another address, such as -addr localhost:8081", addr, err)
	}
	fmt.Fprintln(out, strings.ReplaceAll(intro, "URL", "http://"+reachable(addr, listener.Addr())+"/"))
	if err := HTTP(ctx, listener, handler); err != nil {
		return err
	}
	fmt.Fprintln(out, "Shut down.")
	return nil
}

// reachable returns the address at which a caller on this machine finds the listener on addr.
func reachable(addr string, a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if ok && (tcp.IP.IsUnspecified() || strings.HasPrefix(addr, "localhost:")) {
		return fmt.Sprintf("localhost:%d", tcp.Port)
	}
	return a.String()
}

// HTTP answers on listener until ctx ends, and then lets the calls under way finish.
func HTTP(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// Demo serves handler on a free port of loopback while call runs.
func Demo(ctx context.Context, handler http.Handler, call func(ctx context.Context, url string, client *http.Client) error) (err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	go func() { served <- HTTP(serving, listener, handler) }()
	transport := new(http.Transport)
	defer func() {
		transport.CloseIdleConnections()
		stop()
		err = errors.Join(err, <-served)
	}()
	return call(ctx, "http://"+listener.Addr().String()+"/", &http.Client{Transport: transport, Timeout: 10 * time.Second})
}
