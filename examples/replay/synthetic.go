package main

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// A synthetic log is one day of 1,000 clients. 990 of them never make more than 5 requests in a second,
// 9 crawl with 20 per second, and a script makes 100 per second for a minute. Each second has as many
// requests as the bucket of its client regains in a second, so the smallest rates per second are known.
type synthetic struct {
	requests []visit
}

// A visit is one request.
type visit struct {
	client int
	at     time.Time
}

// The numbers of clients and what each makes in a second.
const (
	people, crawlers                   = 990, 9
	perPerson, perCrawler, perScript   = 5, 20, 100
	clients                            = people + crawlers + 1
	brokenLines                        = 3
	scriptHour                         = 14
	allowedPeople, allowedWithCrawlers = 990, 999 // in thousandths of keys
)

func newSynthetic() *synthetic {
	rng := rand.New(rand.NewPCG(17, 2026))
	s := new(synthetic)
	day := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	for client := range people {
		for range 1 + rng.IntN(4) { // sessions, most of them around noon
			at := day.Add(time.Duration((rng.Float64()+rng.Float64()+rng.Float64())/3*86_000) * time.Second)
			for page := range 2 + rng.IntN(8) {
				n := perPerson
				if page > 0 {
					n = 1 + rng.IntN(perPerson)
				}
				s.add(client, at, n)
				at = at.Add(time.Duration(1+rng.IntN(40)) * time.Second)
			}
		}
	}
	for client := people; client < people+crawlers; client++ {
		at := day.Add(time.Duration(client-people+1) * time.Hour)
		for range 30 {
			s.add(client, at, perCrawler)
			at = at.Add(time.Second)
		}
	}
	for second := range 60 {
		s.add(clients-1, day.Add(scriptHour*time.Hour+time.Duration(second)*time.Second), perScript)
	}
	slices.SortStableFunc(s.requests, func(a, b visit) int { return a.at.Compare(b.at) })
	// A server writes a line when the request ends, so some are late.
	for i := range s.requests {
		j := min(len(s.requests)-1, i+rng.IntN(30))
		s.requests[i], s.requests[j] = s.requests[j], s.requests[i]
	}
	return s
}

func (s *synthetic) add(client int, at time.Time, n int) {
	for range n {
		s.requests = append(s.requests, visit{client, at})
	}
}

// write writes a part of the log in the Combined format, with some broken lines.
func (s *synthetic) write(to io.Writer, requests []visit, broken int) error {
	w := bufio.NewWriter(to)
	for range broken {
		fmt.Fprintf(w, "192.0.2.7 - - [29/Nov/2026:00:0%s\n", strings.Repeat("x", 3))
	}
	for i, v := range requests {
		fmt.Fprintf(w, "10.0.%d.%d - - [%s] \"GET /v1/things/%d HTTP/1.1\" 200 1234 \"-\" \"client/1.0\"\n", v.client>>8, v.client&255, v.at.Format("02/Jan/2006:15:04:05 -0700"), i)
	}
	return w.Flush()
}

// writePacked is write with gzip.
func (s *synthetic) writePacked(to io.Writer, requests []visit) error {
	w := gzip.NewWriter(to)
	if err := s.write(w, requests, 0); err != nil {
		return err
	}
	return w.Close()
}
