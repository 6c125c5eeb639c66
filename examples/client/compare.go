package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// compare makes the calls by hand and with the transport, each time with a key of
// which the API knows nothing yet, and prints both.
func compare(ctx context.Context, base http.RoundTripper, o options, out io.Writer) error {
	fmt.Fprintf(out, "%-20s %6s %8s %7s %7s %8s  %s\n", "", "calls", "denied", "failed", "time", "calls/s", "served for a worker")

	deniedByHand := &denials{base: base}
	without, err := call(ctx, &http.Client{Transport: byHand{deniedByHand}}, o)
	if err != nil {
		return err
	}
	printRow(out, "tried again by hand", without, deniedByHand.n.Load())

	deniedWith := &denials{base: base}
	keeping, err := transport.New(deniedWith, transport.Config{})
	if err != nil {
		return err
	}
	with, err := call(ctx, &http.Client{Transport: keeping}, o)
	if err != nil {
		return err
	}
	printRow(out, "with the transport", with, deniedWith.n.Load())

	fmt.Fprintf(out, "\nWith the transport %d requests were denied instead of %d, and %d calls failed in the end instead of %d.\n",
		deniedWith.n.Load(), deniedByHand.n.Load(), with.failed, without.failed)
	return nil
}

func printRow(out io.Writer, name string, c counts, denied int64) {
	fmt.Fprintf(out, "%-20s %6d %8d %7d %6.1fs %8.1f  %d to %d\n", name, c.served+c.failed, denied, c.failed,
		c.took.Seconds(), float64(c.served)*float64(time.Second)/float64(max(c.took, 1)), c.least, c.most)
}

// denials counts the answers 429 of an API. A call may be denied several times.
type denials struct {
	base http.RoundTripper
	n    atomic.Int64
}

// RoundTrip is that of an [http.RoundTripper].
func (c *denials) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.base.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusTooManyRequests {
		c.n.Add(1)
	}
	return response, err
}
