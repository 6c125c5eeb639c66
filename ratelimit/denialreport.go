package ratelimit

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit/internal/count"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
	"github.com/keyrate/keyrate/ratelimit/internal/top"
)

// A DenialReport lists the keys that were denied most since the limiter was made.
type DenialReport struct {
	// Since is when counting began.
	Since time.Time
	// Denied counts the denials of all keys, and is exact.
	Denied int64
	// Keys are those with the most denials, the most first, as hashes. A denial counts for the
	// limit that decided it: a key has an entry for each limit that denied it. There are 256
	// entries at most.
	Keys []DeniedKey
}

// A DeniedKey is a key and one limit that denied it.
type DeniedKey struct {
	Key   string // as [HashKey] writes it: "sha256:" and 64 digits
	Limit string // the name of the limit
	// Denied is how many calls were denied. Among more keys than there is room for, up to
	// Overcount of them may have been other keys'.
	Denied, Overcount int64
	// Last is when the last of them that was counted came.
	Last time.Time
}

const (
	// deniedKeys entries take 41 KiB, and overcount by 1/256 of all denials at most.
	deniedKeys = 256
	// exactDenials is how many denials of a second are all counted. After each so many that
	// were counted, a denial is counted half as often.
	exactDenials = 1000
	// rarestDenial is a mask of a [count.Pick]: one denial in 64 is counted at least.
	rarestDenial = 63
)

// DenialReport returns the keys that were denied most, as hashes, if Config.Metrics is set;
// otherwise the zero DenialReport. A call that shadow mode admits is not denied.
//
// The first 1,000 denials of each second are all counted. Of more, fewer and fewer are drawn at
// random, down to one in 64, and each counts as many as it stands for. So rare denials are
// counted exactly, and a flood of a million or more is right within 1 % of all denials, for each
// key. The list takes 64 KiB at most. The method is that of [Limiter.ShadowReport]. Limiters made
// by [Limiter.With] or [Limiter.Instead] share the report.
func (l *Limiter) DenialReport() DenialReport {
	if l.counts == nil {
		return DenialReport{}
	}
	d := &l.denials
	d.mu.Lock()
	counters := d.top.Copy()
	d.mu.Unlock()
	top.Sort(counters)
	report := DenialReport{Since: l.report.since, Denied: l.counts.Denied()}
	for _, c := range counters {
		report.Keys = append(report.Keys, DeniedKey{
			Key: keyhash.Text(c.ID.Key), Limit: c.ID.Limit, Denied: c.Count, Overcount: c.Over, Last: c.Seen.Last,
		})
	}
	return report
}

// denials counts for the report. A denial that is not drawn costs one look at the mask, which
// has a cache line of its own.
type denials struct {
	_    [64]byte
	mask atomic.Uint32 // which denials are counted: see count.Pick.Among
	_    [60]byte

	mu      sync.Mutex
	top     top.Denials
	second  time.Time // when the present one began
	counted int       // since then, or since the mask changed
}

// count counts a denial if it is drawn.
func (d *denials) count(p count.Pick, key string, r *Result) {
	if mask := d.mask.Load(); p.Among(mask) {
		d.add(int64(mask)+1, key, r.Limit().Name)
	}
}

// add counts a denial that stands for n.
func (d *denials) add(n int64, key, limit string) {
	now, hash := time.Now(), keyhash.Of(key)
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.top.Count(top.ID{Key: hash, Limit: limit}, n)
	if now.After(seen.Last) { // callers overtake each other
		seen.Last = now
	}
	d.pace(now)
}

// pace counts fewer of the denials of a second, the more there are.
func (d *denials) pace(now time.Time) {
	mask := d.mask.Load()
	if mask == 0 && now.Sub(d.second) >= time.Second {
		d.second, d.counted = now, 0
	}
	if d.counted++; d.counted < exactDenials || mask == rarestDenial {
		return
	}
	if mask == 0 { // the next denial that is drawn may be long after the flood
		time.AfterFunc(time.Second-now.Sub(d.second), d.begin)
	}
	d.counted = 0
	d.mask.Store(2*mask + 1)
}

// begin begins a second after one in which not all denials were counted.
func (d *denials) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.second, d.counted = time.Now(), 0
	d.mask.Store(0)
}
