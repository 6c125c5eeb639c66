package chaos_test

import "os"

// full returns long if KEYRATE_FULL is 1, and short otherwise, also in CI: for tests that take
// minutes at full length.
func full[T any](short, long T) T {
	if os.Getenv("KEYRATE_FULL") == "1" {
		return long
	}
	return short
}
