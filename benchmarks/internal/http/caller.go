package http

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// A Caller sends one request after the other over one connection. It is no http.Client: the
// less the load generator costs, the more is left for the server that is measured.
type Caller struct {
	Connection net.Conn
	reader     *bufio.Reader
	request    []byte
	key        []byte // where it is in the request
}

// Dial connects to a server.
func Dial(ctx context.Context, address string) (*Caller, error) {
	connection, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	before := "GET / HTTP/1.1\r\nHost: " + address + "\r\nUser-Agent: benchmarks\r\nAccept: */*\r\n" + load.KeyHeader + ": "
	request := []byte(before + load.NewKey(0) + "\r\n\r\n")
	return &Caller{
		Connection: connection,
		reader:     bufio.NewReader(connection),
		request:    request,
		key:        request[len(before):][:load.KeySize],
	}, nil
}

// Close closes the connection.
func (c *Caller) Close() { _ = c.Connection.Close() }

// call sends one request with the key of that number, and reads the response,
// whose status must be 200.
func (c *Caller) call(key int) error {
	status, err := c.Ask(key)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the server answered %d", status)
	}
	return err
}

// Ask sends one request with the key of that number, and reads the response. It
// returns its status.
func (c *Caller) Ask(key int) (int, error) {
	load.PutKey(c.key, key)
	if _, err := c.Connection.Write(c.request); err != nil {
		return 0, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < len("HTTP/1.1 200 ") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, fmt.Errorf("the server answered %q", line)
	}
	status, err := strconv.Atoi(string(line[len("HTTP/1.1 "):][:3]))
	if err != nil {
		return 0, err
	}
	length := -1
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("the server sent no Content-Length")
	}
	_, err = c.reader.Discard(length)
	return status, err
}
