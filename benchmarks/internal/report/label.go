package report

import "fmt"

// Verdicts are the words for what is measured.
var Verdicts = map[string]string{"allow": "allowed", "deny": "denied"}

// Cores writes a number of cores.
func Cores(n int) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%d cores", n)
}

// Count writes a number of keys.
func Count(n int) string {
	switch {
	case n >= 1_000_000:
		return fmt.Sprintf("%ge6", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%d,%03d", n/1000, n%1000)
	default:
		return fmt.Sprint(n)
	}
}

// KeyCount writes a number of keys with the word.
func KeyCount(n int) string {
	if n == 1 {
		return "1 key"
	}
	return Count(n) + " keys"
}

// Verdict returns the word for a case whose calls are denied, or allowed.
func Verdict(denied bool) string {
	if denied {
		return "deny"
	}
	return "allow"
}
