package testkit

import "os"

// Count returns how often a test repeats what it does, or how much it does it to:
// plain in go test ./..., and long with KEYRATE_LONG=1, as CI sets it.
func Count(plain, long int) int {
	if os.Getenv("KEYRATE_LONG") == "1" {
		return long
	}
	return plain
}
