package redisstore

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// traces returns the strings that would give an API key away: the key itself, and what can
// be computed from it without a secret.
func traces(key string) []string {
	sum := sha256.Sum256([]byte(key))
	return []string{
		key, key[:12], hex.EncodeToString([]byte(key)), base64.StdEncoding.EncodeToString([]byte(key))[:16],
		hex.EncodeToString(sum[:]), strings.ToUpper(hex.EncodeToString(sum[:])),
		base64.RawStdEncoding.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:]), string(sum[:]),
		escaped(sum[:]), escaped([]byte(key)),
	}
}

// escaped returns bytes as MONITOR writes them.
func escaped(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		switch {
		case c == '\\' || c == '"':
			s.WriteString("\\" + string(rune(c)))
		case c >= ' ' && c <= '~':
			s.WriteByte(c)
		default:
			fmt.Fprintf(&s, "\\x%02x", c)
		}
	}
	return s.String()
}

// found returns the traces and spellings of a key that are in a text.
func found(text, key string) (all []string) {
	for _, trace := range traces(key) {
		if strings.Contains(text, trace) {
			all = append(all, trace)
		}
	}
	return append(all, testkit.Spelled(text, key)...)
}

// monitor returns a function that returns the output of MONITOR so far.
func monitor(t *testing.T, address string) (text func() string) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all strings.Builder
	var wg sync.WaitGroup
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if line, err := lines.ReadString('\n'); err != nil || line != "+OK\r\n" {
		t.Fatal(line, err)
	}
	wg.Go(func() {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			mu.Lock()
			all.WriteString(line)
			mu.Unlock()
		}
	})
	t.Cleanup(func() {
		conn.Close()
		wg.Wait()
	})
	return func() string {
		time.Sleep(50 * time.Millisecond) // MONITOR shows commands as they are executed
		mu.Lock()
		defer mu.Unlock()
		return all.String()
	}
}

// TestNoKeyInRedis: no API key, and with a Secret nothing that can be computed from one, is
// in the commands, data and logs of Redis, in an error or in a log. The controls show that
// the search would find it: a key that another program stores, and the plain hash without a
// Secret.
func TestNoKeyInRedis(t *testing.T) {
	const key = testkit.Canary
	folder := t.TempDir()
	server := startRedis(t, "--dir", folder, "--slowlog-log-slower-than", "0", "--slowlog-max-len", "1000")
	seen := monitor(t, server.address)
	dump := func() string {
		t.Helper()
		var all strings.Builder
		for _, name := range server.list(t, "keys", "*") {
			fmt.Fprintln(&all, name, server.do(t, "dump", name))
		}
		server.do(t, "save")
		file, err := os.ReadFile(filepath.Join(folder, "dump.rdb"))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(file)
		fmt.Fprintln(&all, server.do(t, "slowlog", "get", "1000"), server.do(t, "acl", "log"), server.do(t, "client", "list"), server.do(t, "info", "everything"))
		return all.String()
	}
	var errs strings.Builder
	use := func(c Config) {
		client := patient(t, server.address)
		s := newStore(t, client, c)
		p := policy(t, ratelimit.PerHour(3), ratelimit.PerDay(10).Named("daily"))
		known := &store.Knowledge{{Debt: gcra.Debt{Micros: 5}}}
		take := func() {
			for cost := range 5 {
				_, err := s.Take(t.Context(), store.Request{Key: key, Limits: p, Cost: cost, Known: known, Timeout: time.Second})
				fmt.Fprintf(&errs, "%v %+v %#v\n", err, err, err)
			}
			err := s.Reset(t.Context(), store.Request{Key: key, Limits: p})
			fmt.Fprintf(&errs, "%v %+v %#v\n", err, err, err)
		}
		take()
		// Mistakes of an operator: Redis repeats commands in its errors.
		for _, rules := range [][]any{{"-evalsha"}, {"-eval", "-evalsha"}, {"+eval", "+evalsha", "resetkeys"}, {"allkeys", "-get"}} {
			server.do(t, append([]any{"acl", "setuser", "default"}, rules...)...)
			take()
			server.do(t, "acl", "setuser", "default", "reset", "on", "nopass", "allkeys", "allchannels", "+@all")
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := s.Take(ended, store.Request{Key: key, Limits: p, Cost: 1})
		fmt.Fprintf(&errs, "%v %+v %#v\n", err, err, err)
		client.Close()
		take()
		logged.Lock()
		errs.WriteString(logged.String())
		logged.Unlock()
	}
	use(Config{Secret: []byte("a secret of 32 bytes, or thereabouts")})
	commands, kept := seen(), dump()
	if !strings.Contains(commands, "keyrate:{") || !strings.Contains(kept, "keyrate:{") || !strings.Contains(errs.String(), "access") {
		t.Fatal("the search looks in the wrong places")
	}
	for where, text := range map[string]string{"MONITOR": commands, "what Redis keeps": kept, "errors and logs": errs.String()} {
		if traces := found(text, key); len(traces) > 0 {
			t.Errorf("%s shows %q", where, traces)
		}
		if strings.Contains(text, "a secret of") {
			t.Errorf("%s shows the secret", where)
		}
	}

	// The controls.
	server.do(t, "set", "api:"+key, "1")
	for where, text := range map[string]string{"MONITOR": seen(), "what Redis keeps": dump()} {
		if len(found(text, key)) == 0 {
			t.Errorf("a key that another program stored is not found in %s", where)
		}
	}
	server.do(t, "del", "api:"+key)
	sum := sha256.Sum256([]byte(key))
	plain := base64.RawURLEncoding.EncodeToString(sum[:])
	before := len(seen())
	use(Config{})
	for where, text := range map[string]string{"MONITOR": seen()[before:], "what Redis keeps": dump()} {
		if !strings.Contains(text, plain) {
			t.Errorf("a plain hash is not found in %s", where)
		}
	}
	if strings.Contains(seen()[before:], key) {
		t.Error("without a Secret the key itself is shown")
	}
}
