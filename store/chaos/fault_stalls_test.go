package chaos_test

import (
	"sync"

	"github.com/keyrate/keyrate/internal/testkit"
)

// machine watches for stalls until the program ends.
var machine = sync.OnceValue(func() *testkit.Stalls {
	s, _ := testkit.StartStalls()
	return s
})
