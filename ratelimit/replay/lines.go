package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// longestLine is how many bytes of a line are read.
const longestLine = 256 << 10

// lines are those of a file.
type lines struct {
	in     *bufio.Reader
	number int64 // of the line that was read last, from 1
	ended  bool
}

// newLines returns the lines of a file, which gzip may have packed.
func newLines(file io.Reader) (*lines, error) {
	in := bufio.NewReaderSize(file, longestLine)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = bufio.NewReaderSize(unpacked, longestLine)
	}
	return &lines{in: in}, nil
}

// next returns the next line, without its end. The line is valid until the next call. The error is
// errLong for a line that is passed over, io.EOF behind the last line, or that of the file.
func (l *lines) next() ([]byte, error) {
	if l.ended {
		return nil, io.EOF
	}
	l.number++
	line, err := l.in.ReadSlice('\n')
	var long error
	for errors.Is(err, bufio.ErrBufferFull) {
		long = errLong
		_, err = l.in.ReadSlice('\n')
	}
	if l.ended = errors.Is(err, io.EOF); err != nil && !l.ended {
		return nil, err
	}
	if long != nil {
		return nil, long
	}
	return bytes.TrimRight(line, "\r\n"), nil
}
