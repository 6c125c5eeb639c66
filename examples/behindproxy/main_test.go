package main

import (
	"bytes"
	"testing"
)

func TestForwardedAddressesAreLimited(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	const want = `203.0.113.9               200 OK
203.0.113.9               200 OK
203.0.113.9               429 Too Many Requests
198.51.100.1              200 OK
192.0.2.77, 203.0.113.9   429 Too Many Requests
2001:db8:0:1::1           200 OK
2001:db8:0:1:ffff::abcd   200 OK
2001:db8:0:1:1234::5678   429 Too Many Requests
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", &out, want)
	}
}
