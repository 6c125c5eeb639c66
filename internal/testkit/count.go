package testkit

import "os"

// Count returns plain, or long if KEYRATE_LONG is 1, as CI sets it. It is for the number of
// repetitions of a test, or the size of what it works on.
func Count(plain, long int) int {
	if os.Getenv("KEYRATE_LONG") == "1" {
		return long
	}
	return plain
}
