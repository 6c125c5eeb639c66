package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit/replay"
)

// readLog reads all files.
func readLog(ctx context.Context, c replay.Config, files []string, stdin io.Reader, stderr io.Writer) (*replay.Log, error) {
	c.BucketKey = bucketKey
	reader, err := replay.NewReader(c)
	if err != nil {
		return nil, err
	}
	p := &progress{ctx: ctx, shown: terminal(stderr), began: time.Now()}
	defer p.end()
	for _, name := range files {
		if err := addFile(reader, name, stdin, p); err != nil {
			return nil, err
		}
	}
	return reader.Log()
}

// checkLogs returns an error for what cannot be read, before any of the files is.
func checkLogs(names []string) error {
	var faults []error
	var logs []os.FileInfo
	for _, name := range names {
		if name == "-" {
			continue
		}
		log, err := os.Stat(name)
		switch {
		case err != nil && strings.HasPrefix(name, "-"):
			err = fmt.Errorf("flag %s is behind a file: give all flags before the first file", name)
		case err != nil:
		case log.IsDir():
			err = fmt.Errorf("%s is a directory: name the logs in it, such as %s", name, filepath.Join(name, "access.log*"))
		case slices.ContainsFunc(logs, func(l os.FileInfo) bool { return os.SameFile(l, log) }):
			err = fmt.Errorf("%s is there twice, and its requests would count twice: leave one out", name)
		case log.Mode().IsRegular():
			var file *os.File
			if file, err = os.Open(name); err == nil {
				err = file.Close()
			}
		}
		faults, logs = append(faults, err), append(logs, log)
	}
	return errors.Join(faults...)
}

// bucketKey returns the key that a limiter behind package middleware gets for an address or an API
// key: so IPv6 addresses count by their /64, and hashes are those that the operator sees elsewhere.
func bucketKey(text string) string {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return middleware.AddressKey(addr)
	}
	if addr, err := netip.ParseAddrPort(text); err == nil {
		return middleware.AddressKey(addr.Addr())
	}
	return middleware.BucketKey(text)
}

func addFile(reader *replay.Reader, name string, stdin io.Reader, p *progress) error {
	if name == "-" {
		return reader.Add("standard input", p.of("standard input", stdin, 0))
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	size := int64(0)
	if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return reader.Add(name, p.of(name, file, size))
}

// terminal returns the writer if it is a terminal, or nil.
func terminal(w io.Writer) io.Writer {
	if file, ok := w.(*os.File); ok {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return w
		}
	}
	return nil
}

// A progress shows how much of a file has been read, a few times a second. It ends the reading when
// its context ends.
type progress struct {
	ctx         context.Context //nolint:containedctx // of one call of run
	shown       io.Writer       // nil shows nothing
	file        io.Reader
	name        string
	size, done  int64 // in bytes; a size of 0 is not known
	began, last time.Time
}

// of returns the reader of one file.
func (p *progress) of(name string, file io.Reader, size int64) io.Reader {
	p.name, p.file, p.size, p.done = name, file, size, 0
	return p
}

// Read reads the file.
func (p *progress) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.file.Read(b)
	p.done += int64(n)
	if now := time.Now(); p.shown != nil && now.Sub(p.last) > 200*time.Millisecond {
		p.last = now
		text := fmt.Sprintf("%s: %d MB", p.name, p.done/1e6)
		if p.size > 0 {
			text += fmt.Sprintf(" of %d, %d %%", p.size/1e6, 100*p.done/p.size)
		}
		fmt.Fprintf(p.shown, "\r%s\x1b[K", text)
	}
	return n, err
}

// end removes what is shown.
func (p *progress) end() {
	if p.shown != nil && !p.last.IsZero() {
		fmt.Fprint(p.shown, "\r\x1b[K")
	}
}
