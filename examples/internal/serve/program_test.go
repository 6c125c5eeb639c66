package serve

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
)

// TestExitStatus: 0, 1 after an error of the program, 2 if the flags are wrong. What is
// wrong is printed.
func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		args   string
		fails  error
		status int
		want   string // in what is printed
	}{
		{"", nil, 0, ""},
		{"-n 3", nil, 0, ""},
		{"", errors.New("no luck"), 1, "program: no luck\n"},
		{"-h", nil, 0, "-n"},
		{"-m 3", nil, 2, "-m"},
		{"3", nil, 2, `unexpected argument "3": use flags, such as -n 5`},
		{"-n 7", nil, 2, "seven"},
	} {
		var errs bytes.Buffer
		flags := NewFlags("program", "-n 5", &errs)
		n := flags.Int("n", 1, "a number")
		err := flags.Parse(strings.Fields(c.args), func() error {
			if *n == 7 && flags.Given("n") && !flags.Given("m") {
				return errors.New("not seven")
			}
			return nil
		})
		ran := false
		status := Run(t.Context(), "program", &errs, err, func(context.Context) error {
			ran = true
			return c.fails
		})
		if status != c.status || !strings.Contains(errs.String(), c.want) || c.want == "" && errs.Len() > 0 || ran != (err == nil) {
			t.Errorf("%q: status %d, ran: %v, printed %q; want %d, %q", c.args, status, ran, &errs, c.status, c.want)
		}
	}
}

func TestCheckAddr(t *testing.T) {
	for addr, ok := range map[string]bool{":8080": true, "localhost:0": true, "[::1]:80": true, "8080": false, "": false} {
		if err := CheckAddr(addr); (err == nil) != ok {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
