package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/redisstore"
)

const headKey, bodyKey = "keyrate:{table}:head", "keyrate:{table}:body"

// TestStartsWithoutRedis: a node that starts while Redis is down has the copy in its file, in
// which hashes stand for keys, and which no other user can read.
func TestStartsWithoutRedis(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	addr := m.Addr()
	file := filepath.Join(t.TempDir(), "limits")
	a := newNode(t, m.Addr(), Config{File: file}).run(t)
	set(t, a, "bob", "9/s")
	set(t, a, "sk-canary", "8/s")
	a.stop()
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "canary") || strings.Contains(m.Dump(), "canary") {
		t.Errorf("a key is shown; %v", err)
	}
	m.Close()
	b := newNode(t, addr, Config{File: file})
	if err := b.Load(t.Context()); err == nil {
		t.Error("Load without Redis has no error")
	}
	if got := limitOf(t, b, "bob"); got != "9/s" {
		t.Errorf("limit %s", got)
	}
	// It puts it back, and follows.
	b.run(t)
	if err := m.Restart(); err != nil {
		t.Fatal(err)
	}
	m.FlushAll()
	until(t, "the table is back", func() bool { return m.HGet(headKey, "version") == fmt.Sprint(b.Status().Version) })
	set(t, b, "bob", "10/s")
	wantLimit(t, "bob", "10/s", b)
}

// TestBrokenFile: a copy that is not whole is not used, and reported.
func TestBrokenFile(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	addr := m.Addr()
	file := filepath.Join(t.TempDir(), "limits")
	a := newNode(t, m.Addr(), Config{File: file}).run(t)
	set(t, a, "bob", "9/s")
	a.stop()
	m.Close()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := slices.Clone(whole)
	changed[len(changed)-5] ^= 1
	for _, text := range [][]byte{nil, []byte("x"), whole[:len(whole)-1], whole[:20], changed, append([]byte("keyrate table 1 2 00 1\n"), whole...)} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		b := newNode(t, addr, Config{File: file})
		_ = b.Load(t.Context())
		if got := limitOf(t, b, "bob"); got != "7/s" || b.Status().FileErr == nil || len(b.Warnings()) < 3 {
			t.Errorf("%.30q: limit %s, %v, %q", text, got, b.Status().FileErr, b.Warnings())
		}
	}
	c := newNode(t, addr, Config{File: filepath.Join(t.TempDir(), "none", "limits")})
	c.writeFile()
	if c.Status().FileErr == nil {
		t.Error("a file in no folder was written")
	}
}

// TestForeignValues: whatever somebody else writes, the old table stays in force, and the nodes
// report and repair what they can.
func TestForeignValues(t *testing.T) {
	t.Parallel()
	newer := fmt.Sprint(time.Now().Add(time.Hour).UnixMilli())
	for name, c := range map[string]struct {
		write  func(set func(args ...any))
		repair bool // an operator must roll back
	}{
		"a text in place of the head":  {func(do func(...any)) { do("SET", headKey, "x") }, false},
		"a head without a version":     {func(do func(...any)) { do("HDEL", headKey, "version") }, false},
		"a version that is no number":  {func(do func(...any)) { do("HSET", headKey, "version", "1e9") }, false},
		"a version of hex digits":      {func(do func(...any)) { do("HSET", headKey, "version", "0x7fffffffffffffff") }, false},
		"an infinite version":          {func(do func(...any)) { do("HSET", headKey, "version", "1e300") }, false},
		"a head without a sum":         {func(do func(...any)) { do("HDEL", headKey, "sum") }, false},
		"a head without parts":         {func(do func(...any)) { do("HDEL", headKey, "parts") }, false},
		"a list in place of the body":  {func(do func(...any)) { do("DEL", bodyKey); do("RPUSH", bodyKey, "x") }, false},
		"no body":                      {func(do func(...any)) { do("DEL", bodyKey) }, false},
		"no head":                      {func(do func(...any)) { do("DEL", headKey) }, false},
		"a text in place of the nodes": {func(do func(...any)) { do("SET", "keyrate:{table}:nodes", "x") }, false},
		"another body": {func(do func(...any)) {
			do("HSET", headKey, "version", newer, "sum", "0")
			do("HSET", bodyKey, "0", "x")
		}, true},
		"a newer version without a body": {func(do func(...any)) { do("HSET", headKey, "version", newer, "sum", "0"); do("DEL", bodyKey) }, true},
		"a newer version with a text for a body": {func(do func(...any)) {
			do("HSET", headKey, "version", newer, "sum", "0")
			do("DEL", bodyKey)
			do("SET", bodyKey, "x")
		}, true},
		"a body that is no table": {func(do func(...any)) {
			do("HSET", headKey, "version", newer, "sum", sumOf("x"))
			do("HSET", bodyKey, "0", "x")
		}, true},
		"a table of another form": {func(do func(...any)) {
			do("HSET", headKey, "version", newer, "sum", sumOf("keyrate table 2\n"))
			do("HSET", bodyKey, "0", "keyrate table 2\n")
		}, true},
		"a table with a limit unknown": {func(do func(...any)) {
			text := textBegins + "[]\n" + `{"default":"blue"}`
			do("HSET", headKey, "version", newer, "sum", sumOf(text))
			do("HSET", bodyKey, "0", text)
		}, true},
		"a table with a foreign override": {func(do func(...any)) {
			text := textBegins + `[{"key":"x"}]` + "\n" + `{"default":"5/s"}`
			do("HSET", headKey, "version", newer, "sum", sumOf(text))
			do("HSET", bodyKey, "0", text)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startRedis(t)
			a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
			set(t, a, "bob", "9/s")
			wantLimit(t, "bob", "9/s", a, b)
			version := a.Status().Version
			c.write(func(args ...any) {
				if err := a.server.client.Do(t.Context(), args...).Err(); err != nil {
					t.Fatal(err)
				}
			})
			if c.repair {
				until(t, "it is reported", func() bool { return a.Status().Err != nil && b.Status().Err != nil })
				if w := a.Warnings(); len(w) != 1 || !strings.Contains(w[0], fmt.Sprintf("version %d stays in force", version)) {
					t.Errorf("warnings %q", w)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				if err := a.Change(ctx, "operator", func(c *plans.TableConfig) error { c.Default = policy(t, "3/s"); return nil }); !errors.Is(err, errForeign) {
					t.Errorf("a change of what cannot be read: %v", err)
				}
				if err := a.RollBack(t.Context(), "operator", version); err != nil {
					t.Fatal(err)
				}
			}
			if limitOf(t, a, "bob") != "9/s" || limitOf(t, b, "bob") != "9/s" {
				t.Error("another table is in force")
			}
			set(t, b, "alice", "2/s")
			wantLimit(t, "alice", "2/s", a, b)
			wantLimit(t, "bob", "9/s", a, b)
			until(t, "all is well", func() bool { return a.Status().Err == nil && b.Status().Err == nil })
			wantQuiet(t, a, b)
			if first := a.Changes()[len(a.Changes())-1].Version; c.repair {
				if err := b.RollBack(t.Context(), "operator", first); err != nil {
					t.Errorf("the trail is broken: %v", err)
				}
			}
		})
	}
}

// TestRollBackRepairsAtOnce: also at a node that has not yet seen what it cannot read.
func TestRollBackRepairsAtOnce(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{})
	set(t, a, "bob", "9/s")
	first := a.Status().Version
	set(t, a, "bob", "8/s")
	for i, version := range []int64{a.Status().Version, first} {
		m.HSet(headKey, "version", fmt.Sprintf("9999999999999%d", 5*i), "sum", "0")
		m.Del(bodyKey)
		if err := m.Set(bodyKey, "x"); err != nil {
			t.Fatal(err)
		}
		if err := a.RollBack(t.Context(), "operator", version); err != nil {
			t.Fatal(err)
		}
		if err := newNode(t, m.Addr(), Config{}).Load(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got := limitOf(t, a, "bob"); got != "9/s" {
		t.Errorf("limit %s", got)
	}
}

// counted counts the calls of the script that commits.
type counted struct{ commits atomic.Int64 }

func (*counted) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 1 && args[1] == commitScript {
			c.commits.Add(1)
		}
		return next(ctx, cmd)
	}
}

// wantQuiet fails if the nodes go on writing.
func wantQuiet(t *testing.T, nodes ...*testNode) {
	t.Helper()
	hook := new(counted)
	for _, n := range nodes {
		n.server.client.AddHook(hook)
	}
	time.Sleep(8 * poll)
	if got := hook.commits.Load(); got > 0 {
		t.Errorf("%d commits without a change", got)
	}
}

// TestVersionAhead: a version that no node can have made is reported, and left alone until a change or a
// roll back replaces it.
func TestVersionAhead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		version string
		repair  func(*testNode) error
	}{
		"in years": {fmt.Sprint(time.Now().AddDate(2, 0, 0).UnixMilli()), func(n *testNode) error {
			return n.Change(t.Context(), "operator", func(c *plans.TableConfig) error { c.Default = policy(t, "3/s"); return nil })
		}},
		"of 15 digits":    {"999999999999999", func(n *testNode) error { return n.RollBack(t.Context(), "operator", n.Changes()[1].Version) }},
		"of microseconds": {fmt.Sprint(time.Now().UnixMicro()), func(n *testNode) error { return n.RollBack(t.Context(), "operator", n.Status().Version) }},
		"beyond 64 bits":  {strings.Repeat("9", 300), func(n *testNode) error { return n.EndOverride(t.Context(), "operator", "none", "") }},
		"with zeros":      {"000" + strings.Repeat("9", 15), func(n *testNode) error { return n.Put(t.Context(), "limits.yaml", initial(t)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startRedis(t)
			a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
			set(t, a, "bob", "8/s")
			set(t, a, "bob", "9/s")
			wantLimit(t, "bob", "9/s", a, b)
			until(t, "b has the trail", func() bool { return len(b.Changes()) == 2 })
			own := a.Status().Version
			m.HSet(headKey, "version", c.version)
			until(t, "it is reported", func() bool { return a.Status().Err != nil && b.Status().Err != nil })
			for _, n := range []*testNode{a, b} {
				err, warnings := n.Status().Err.Error(), strings.Join(n.Warnings(), "\n")
				for _, want := range []string{fmt.Sprintf("version %d stays in force here", own), "a time in the year ", "its clock shows " + time.Now().UTC().Format("2006-"), "change the table or roll it back"} {
					if !strings.Contains(err, want) || !strings.Contains(warnings, want) {
						t.Errorf("%q is missing in %q, %q", want, err, warnings)
					}
				}
			}
			newcomer := newNode(t, m.Addr(), Config{})
			if err := newcomer.Load(t.Context()); err == nil || limitOf(t, newcomer, "bob") != "7/s" {
				t.Errorf("%v, %s", err, limitOf(t, newcomer, "bob"))
			}
			if err := newcomer.Put(t.Context(), "limits.yaml", initial(t)); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("this node has version 1, and not version %d", own)) {
				t.Errorf("a change at a node that lags: %v", err)
			}
			wantQuiet(t, a, b)
			if m.HGet(headKey, "version") != c.version || limitOf(t, a, "bob") != "9/s" || limitOf(t, b, "bob") != "9/s" || a.Status().Version != own {
				t.Error("another version is there")
			}
			if err := c.repair(b); err != nil {
				t.Fatal(err)
			}
			now := b.Status().Version
			if ahead := time.Until(time.UnixMilli(now)); now <= own || ahead > time.Minute || m.HGet(headKey, "version") != fmt.Sprint(now) {
				t.Errorf("version %d, %v ahead", now, ahead)
			}
			newcomer.run(t)
			until(t, "all is well", func() bool {
				return a.Status() == b.Status() && a.Status().Err == nil && newcomer.Status().Version == now && newcomer.Status().Err == nil
			})
			set(t, a, "alice", "2/s")
			wantLimit(t, "alice", "2/s", a, b, newcomer)
			until(t, "the trail is there", func() bool { return len(newcomer.Changes()) == 4 })
			wantQuiet(t, a, b, newcomer)
		})
	}
}

// TestVersionAheadAtOnce: a node that has not seen it replaces it as well.
func TestVersionAheadAtOnce(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{})
	set(t, a, "bob", "9/s")
	for _, version := range []string{"999999999999999", strings.Repeat("9", 20)} {
		m.HSet(headKey, "version", version)
		set(t, a, "bob", version[:2]+"/s")
		m.HSet(headKey, "version", version)
		if err := a.EndOverride(t.Context(), "operator", "none", ""); err != nil || m.HGet(headKey, "version") != fmt.Sprint(a.Status().Version) {
			t.Errorf("%v, version %s", err, m.HGet(headKey, "version"))
		}
	}
}

// TestClockSetBack: versions that were made while Redis' clock was ahead stay in force, and grow.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	for name, years := range map[string]int{"a month": 0, "years": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startRedis(t)
			a, b := newNode(t, m.Addr(), Config{}).run(t), newNode(t, m.Addr(), Config{}).run(t)
			set(t, a, "bob", "8/s")
			m.SetTime(time.Now().AddDate(years, 1, 0))
			set(t, a, "bob", "9/s")
			wantLimit(t, "bob", "9/s", a, b)
			m.SetTime(time.Time{})
			version := a.Status().Version
			until(t, "the clock is known", func() bool { return time.Until(a.now()) < time.Hour && time.Until(b.now()) < time.Hour })
			set(t, b, "bob", "10/s")
			wantLimit(t, "bob", "10/s", a, b)
			if a.Status().Version != version+1 || a.Status().Err != nil || b.Status().Err != nil {
				t.Errorf("%+v, %+v", a.Status(), b.Status())
			}
			wantQuiet(t, a, b)
			newcomer := newNode(t, m.Addr(), Config{})
			if err := newcomer.Load(t.Context()); err != nil { // the trail shows that a node has made it
				t.Errorf("newcomer: %v", err)
			}
			wantLimit(t, "bob", "10/s", newcomer)
		})
	}
}

// TestNothingToChange: a node that lags finds out what there is before it says so, and needs Redis for
// that.
func TestNothingToChange(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}), newNode(t, m.Addr(), Config{})
	override := func() {
		t.Helper()
		if err := a.Override(t.Context(), "anna", plans.Override{Key: "alice", Factor: 10, Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	loaded := func() string {
		t.Helper()
		if err := a.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return limitOf(t, a, "alice") + " " + limitOf(t, a, "bob")
	}
	override()
	if err := b.EndOverride(t.Context(), "ben", "alice", ""); err != nil || loaded() != "50/s 7/s" {
		t.Errorf("%v: %s", err, loaded())
	}
	set(t, a, "bob", "9/s")
	if err := b.Put(t.Context(), "limits.yaml", initial(t)); err != nil || loaded() != "50/s 7/s" {
		t.Errorf("%v: %s", err, loaded())
	}
	m.Close()
	if err := b.EndOverride(t.Context(), "ben", "alice", ""); err == nil {
		t.Error("it ended while Redis is down")
	}
}

// TestNothingStaysStaged: a change that Redis refuses leaves nothing.
func TestNothingStaysStaged(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a, b := newNode(t, m.Addr(), Config{}), newNode(t, m.Addr(), Config{})
	set(t, a, "bob", "9/s")
	set(t, b, "alice", "9/s") // at first in place of the initial table
	for _, key := range m.Keys() {
		if strings.Contains(key, ":new:") {
			t.Errorf("%s is left", key)
		}
	}
}

// lossy loses the answers of some calls of the script that commits.
type lossy struct{ left atomic.Int64 }

func (*lossy) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*lossy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (l *lossy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if args := cmd.Args(); len(args) > 1 && args[1] == commitScript && l.left.Add(-1) >= 0 {
			cmd.SetErr(io.EOF)
			return io.EOF
		}
		return err
	}
}

// TestLostAnswer: a change whose answer was lost is made once, and reported as made.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{}).run(t)
	set(t, a, "bob", "8/s")
	hook := new(lossy)
	a.server.client.AddHook(hook)
	hook.left.Store(1)
	set(t, a, "bob", "9/s")
	if n := len(a.Changes()); n != 2 || limitOf(t, a, "bob") != "9/s" {
		t.Errorf("%d changes, limit %s:\n%s", n, limitOf(t, a, "bob"), trailOf(a))
	}
}

// TestNoChangeIsLost: nodes that change the table at once retry until each change is made.
func TestNoChangeIsLost(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	var nodes []*testNode
	for range 4 {
		nodes = append(nodes, newNode(t, m.Addr(), Config{}).run(t))
	}
	set(t, nodes[0], "bob", "8/s") // the fleet has settled
	var working sync.WaitGroup
	for i, n := range nodes {
		working.Go(func() {
			for k := range 4 {
				for {
					err := n.Change(t.Context(), "operator", func(c *plans.TableConfig) error {
						c.Keys[ratelimit.HashKey(fmt.Sprint("key", i, k))] = c.Default
						return nil
					})
					if err == nil {
						break
					}
					if !errors.Is(err, plans.ErrChanged) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	working.Wait()
	for _, n := range nodes {
		until(t, "all keys are there", func() bool { _, keys := n.Snapshot().Count(); return keys == 1+16 })
		until(t, "all changes are in the trail", func() bool { return len(n.Changes()) == 17 })
	}
}

// TestUnreachable: without Redis a change fails, and the table stays in force.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{}).run(t)
	set(t, a, "bob", "9/s")
	m.Close()
	err := a.Change(t.Context(), "operator", func(c *plans.TableConfig) error { c.Default = policy(t, "1/s"); return nil })
	if class := redisstore.Failure(err); err == nil || !strings.Contains(class.Error(), redisstore.ClassConnect) && !strings.Contains(class.Error(), redisstore.ClassLost) {
		t.Errorf("error %v", err)
	}
	if limitOf(t, a, "bob") != "9/s" || limitOf(t, a, "other") != "5/s" {
		t.Error("another table is in force")
	}
	until(t, "it is reported", func() bool { return a.Status().Err != nil && !a.Status().ErrSince.IsZero() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.RollBack(ctx, "operator", 1); err == nil {
		t.Error("a change with a context that has ended")
	}
}

// TestHealth: the limiter's health shows what is wrong.
func TestHealth(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	n := newNode(t, m.Addr(), Config{})
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), n, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	warnings := func() string { return strings.Join(limiter.Check(t.Context()).Warnings, "\n") }
	if !strings.Contains(warnings(), "Run does not run") {
		t.Errorf("warnings %q", warnings())
	}
	n.run(t)
	until(t, "it runs", func() bool { return warnings() == "" })
	m.Close()
	until(t, "it is reported", func() bool { return strings.Contains(warnings(), "version 1 stays in force") })
}

// TestPartsFit: a version that a part of a limiter cannot use is rejected before it is written.
func TestPartsFit(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	a := newNode(t, m.Addr(), Config{}).run(t)
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), a, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := limiter.With(ratelimit.PerSecond(3).Named("part")); err != nil {
		t.Fatal(err)
	}
	err = a.Change(t.Context(), "operator", func(c *plans.TableConfig) error {
		c.Default = policy(t, "1/s, 2/s;name=part")
		return nil
	})
	if err == nil || len(a.Changes()) != 0 {
		t.Errorf("error %v, %d changes", err, len(a.Changes()))
	}
}

// TestHooksPanic without effect.
func TestHooksPanic(t *testing.T) {
	t.Parallel()
	m := startRedis(t)
	client, err := redisstore.NewClient("redis://" + m.Addr() + "?timeout=5s")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	fleet, err := New(client, initial(t), Config{Poll: poll, OnEvent: func(Event) { panic("event") }, OnNodes: func(int) { panic("nodes") }})
	if err != nil {
		t.Fatal(err)
	}
	n := (&testNode{Table: fleet}).run(t)
	set(t, n, "bob", "9/s")
	other := newNode(t, m.Addr(), Config{}).run(t)
	until(t, "there are two nodes", func() bool { return n.Nodes() == 2 })
	set(t, other, "bob", "10/s")
	wantLimit(t, "bob", "10/s", n)
	n.stop()
}
