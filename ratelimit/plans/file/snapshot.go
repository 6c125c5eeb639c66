package file

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// A look is the state of a file that is visible without reading it.
type look struct {
	info os.FileInfo // nil if err is not
	err  error
}

func lookAt(path string) look {
	info, err := os.Stat(path)
	return look{info, err}
}

// same reports whether two looks are equal. It misses a change that keeps the size within the
// precision of the file's time.
func (l look) same(m look) bool {
	if l.info == nil || m.info == nil {
		return l.info == nil && m.info == nil && errorText(l.err) == errorText(m.err)
	}
	return os.SameFile(l.info, m.info) && unlinked(l.info) == unlinked(m.info) && l.info.Size() == m.info.Size() && l.info.ModTime().Equal(m.info.ModTime())
}

// coarsest is the coarsest time of a file system in use: that of FAT.
const coarsest = 2 * time.Second

// recent reports whether the file may have been written since the look without a difference
// that same sees.
func (l look) recent() bool {
	return l.info != nil && time.Since(l.info.ModTime()).Abs() < coarsest+time.Second
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A snapshot is a content of the file.
type snapshot struct {
	data []byte
	hash string
	look look
}

// outcome names the result of reading the file: its content or the error.
func (s snapshot) outcome(err error) string {
	if err == nil {
		return s.hash
	}
	return s.hash + " " + err.Error()
}

// errUnlinked means that a file is readable but has no name any more: it was mounted alone, and
// deleted or replaced where it comes from. Changes there are not visible here.
var errUnlinked = errors.New("its link count is 0")

// errUnsteady means that a file was written while it was read.
var errUnsteady = errors.New("it is being written")

// readFile reads a file, and returns errUnsteady if it saw a write during that. With
// errUnlinked it returns the content as well.
func readFile(path string) (s snapshot, err error) {
	before := lookAt(path)
	noFile := &Error{File: path, Found: "no file", Want: "must be a file, not a folder or a device"}
	if before.info != nil && !before.info.Mode().IsRegular() {
		return snapshot{look: before}, noFile // opening a pipe would wait for a writer
	}
	file, err := os.Open(path)
	if err != nil {
		return snapshot{look: before}, &Error{File: path, Found: "a file that cannot be opened", Want: "must be there and readable", Err: err}
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return snapshot{look: before}, noFile
	}
	if err == nil {
		if info.Size() > MaxSize {
			return snapshot{look: before}, &Error{File: path, Found: fmt.Sprintf("%d bytes", info.Size()), Want: fmt.Sprintf("must not be larger than %d MiB", MaxSize>>20)}
		}
		s.data = make([]byte, 0, info.Size()+1)
		s.data, err = appendAll(s.data, file)
	}
	if err != nil {
		return snapshot{look: before}, &Error{File: path, Found: "a file that cannot be read", Want: "must be readable", Err: err}
	}
	s.look = lookAt(path)
	if opened := (look{info: info}); !before.same(opened) || !opened.same(s.look) {
		return s, &Error{File: path, Found: "a file that changes while it is read", Want: "must be written to another name and renamed", Err: errUnsteady}
	}
	sum := sha256.Sum256(s.data)
	s.hash = hex.EncodeToString(sum[:6])
	if unlinked(info) {
		return s, &Error{File: path, Found: "a file that was deleted or replaced where it is mounted from, so that its changes are not seen", Want: "must be mounted with its folder, not alone; until then, restart", Err: errUnlinked}
	}
	return s, nil
}

// appendAll reads to the end, or a little more than MaxSize.
func appendAll(data []byte, r io.Reader) ([]byte, error) {
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case errors.Is(err, io.EOF), len(data) > MaxSize:
			return data, nil
		case err != nil:
			return data, err
		}
	}
}
