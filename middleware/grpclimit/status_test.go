package grpclimit

import (
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// TestRetryInfo: it is encoded as package proto does.
func TestRetryInfo(t *testing.T) {
	waits := []time.Duration{time.Millisecond, 999 * time.Millisecond, time.Second, 1001 * time.Millisecond, 365 * 24 * time.Hour}
	for range 1000 {
		waits = append(waits, time.Duration(1+rand.Int64N(1<<rand.IntN(40)))*time.Millisecond)
	}
	for _, wait := range waits {
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(&errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
		if got := appendRetryInfo(nil, wait); err != nil || string(got) != string(want) {
			t.Errorf("%v: %x, want %x, %v", wait, got, want, err)
		}
	}
}
