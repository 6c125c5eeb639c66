package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A ledger is a file in which each caller of a process enters each answer when it has it: the
// file outlives a process that is killed.
type ledger struct{ *os.File }

func openLedger(file string) (*ledger, error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o600)
	return &ledger{f}, err
}

// A slot is what one caller has entered, in words of four bytes.
type slot struct {
	ledger  *ledger
	at      int64
	written [tallyLen * 4]byte
}

func (l *ledger) slot(i int) *slot {
	return &slot{ledger: l, at: int64(i * tallyLen * 4)}
}

// enter adds one answer.
func (s *slot) enter(r *ratelimit.Result, err error, took time.Duration) {
	s.count(bucketOf(took))
	switch {
	case err != nil:
		s.count(failed)
	case r.Allowed:
		s.count(admitted)
		s.count(sources + int(r.Source()))
	default:
		s.count(denied)
		s.count(sources + int(r.Source()))
	}
	if _, err := s.ledger.WriteAt(s.written[:], s.at); err != nil {
		panic(fmt.Sprintf("the ledger cannot be written: %v", err)) // the demo would count wrong
	}
}

func (s *slot) count(word int) {
	b := s.written[word*4:]
	binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)+1)
}

// readLedger returns what all callers of a process have entered.
func readLedger(file string) (t tally, err error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return t, err
	}
	for i := range len(content) / 4 {
		t[i%tallyLen] += int(binary.LittleEndian.Uint32(content[i*4:]))
	}
	return t, nil
}

// The words of a tally.
const (
	admitted = iota
	denied
	failed
	sources                            // one for each store.Source
	buckets  = sources + sourceCount   // of the times that decisions took
	tallyLen = buckets + 8*(maxBits-3) // 8 for each power of two, so that a time is 1/16 off at most
)

const (
	sourceCount = int(store.FromLease) + 1
	maxBits     = 36 // in ns: a minute
)
