package replay

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"strings"
)

// longestLine is how many bytes of a line are read.
const longestLine = 256 << 10

// lines are those of a file.
type lines struct {
	in     *bufio.Reader
	number int64 // of the line that was read last, from 1
	ended  bool
	packed bool
	damage error // what ended an archive early
}

// newLines returns the lines of a file, which gzip may have packed. The error names what the file is,
// if that has no lines.
func newLines(file io.Reader) (*lines, error) {
	l := &lines{in: bufio.NewReaderSize(file, longestLine)}
	if magic, _ := l.in.Peek(2); string(magic) == "\x1f\x8b" {
		l.packed = true
		unpacked, err := gzip.NewReader(l.in)
		if err = l.failed(err); err != nil || l.ended {
			return l, err
		}
		l.in = bufio.NewReaderSize(unpacked, longestLine)
	}
	head, _ := l.in.Peek(len(longestMagic))
	return l, unreadable(string(head))
}

// failed returns an error that is no damage of an archive. Damage ends the lines.
func (l *lines) failed(err error) error {
	var corrupt flate.CorruptInputError
	if l.packed && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt)) {
		l.damage, l.ended = err, true
		return nil
	}
	return err
}

const longestMagic = "BZh91AY&SY"

// unreadable returns an error for what begins as no log in UTF-8 does.
func unreadable(head string) error {
	for _, magic := range []struct{ begins, fault string }{
		{"\xff\xfe", isUTF16}, {"\xfe\xff", isUTF16},
		{longestMagic, "is packed by bzip2: give what bzip2 -dc prints"},
		{"\xfd7zXZ\x00", "is packed by xz: give what xz -dc prints"},
		{"\x28\xb5\x2f\xfd", "is packed by zstd: give what zstd -dc prints"},
		{"PK\x03\x04", "is a zip archive: give the files in it"},
	} {
		if strings.HasPrefix(head, magic.begins) {
			return errors.New(magic.fault)
		}
	}
	if len(head) >= 4 { // without a mark, a NUL is beside each of the first characters
		zero := [4]bool{head[0] == 0, head[1] == 0, head[2] == 0, head[3] == 0}
		if zero[0] != zero[1] && zero[0] == zero[2] && zero[1] == zero[3] {
			return errors.New(isUTF16)
		}
	}
	return nil
}

const isUTF16 = "is in UTF-16: give it in UTF-8, as iconv -f UTF-16 -t UTF-8 prints it"

// byteOrderMark may stand at the beginning of a file in UTF-8.
var byteOrderMark = []byte("\ufeff")

// next returns the next line, without its end and without a byte order mark, which is in front of a
// line where files were put together. The line is valid until the next call. The error is errLong for
// a line that is passed over, io.EOF behind the last line, or that of the file.
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
		if err = l.failed(err); err == nil { // what is left of this line may be cut off
			l.number--
			err = io.EOF
		}
		return nil, err
	}
	if long != nil {
		return nil, long
	}
	return bytes.TrimRight(bytes.TrimPrefix(line, byteOrderMark), "\r\n"), nil
}
