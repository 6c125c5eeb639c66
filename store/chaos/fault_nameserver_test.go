package chaos_test

import (
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
)

// A nameserver is a DNS server on loopback. At first it resolves every name to 127.0.0.1.
type nameserver struct {
	addr    string
	mood    atomic.Int32
	queries [4]atomic.Int64 // by mood
}

// The moods of a nameserver.
const (
	nameKnown   int32 = iota
	nameUnknown       // NXDOMAIN: there is no such name
	nameFailing       // SERVFAIL
	nameSilent        // no answer
)

func startNameserver(t testing.TB) *nameserver {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n, ended := &nameserver{addr: conn.LocalAddr().String()}, make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 512)
		for {
			size, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			mood := n.mood.Load()
			n.queries[mood].Add(1)
			if answer := answerTo(buffer[:size], mood); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-ended
	})
	return n
}

// asked returns the number of queries in a mood.
func (n *nameserver) asked(mood int32) int { return int(n.queries[mood].Load()) }

// answerTo returns the answer to a query (RFC 1035, section 4.1) of one question, or nil.
func answerTo(query []byte, mood int32) []byte {
	const header = 12 // bytes
	end := header
	for end < len(query) && query[end] != 0 { // the name, a label at a time
		end += int(query[end]) + 1
	}
	end += 5 // the root, the type and the class
	if mood == nameSilent || len(query) < header || end > len(query) {
		return nil
	}
	answer := append([]byte(nil), query[:end]...)
	flags := uint16(0x8180) // a response, recursion desired and available
	switch mood {
	case nameUnknown:
		flags |= 3
	case nameFailing:
		flags |= 2
	}
	binary.BigEndian.PutUint16(answer[2:], flags)
	for i := 6; i < header; i += 2 { // no answers, no authorities, nothing additional
		binary.BigEndian.PutUint16(answer[i:], 0)
	}
	if kind := binary.BigEndian.Uint16(query[end-4:]); mood == nameKnown && kind == 1 {
		binary.BigEndian.PutUint16(answer[6:], 1)
		// The name of the question, type A, class IN, with a TTL of 0.
		answer = append(answer, 0xc0, header, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
	}
	return answer
}

// dialer returns a dialer that resolves names with the nameserver.
func (n *nameserver) dialer() func(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := &net.Dialer{Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", n.addr)
		},
	}}
	return dialer.DialContext
}
