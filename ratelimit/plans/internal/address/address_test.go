package address

import "testing"

// BenchmarkIs: a key with a dot in it takes little longer to check than another.
func BenchmarkIs(b *testing.B) {
	for b.Loop() {
		Is("sk.live.4eC39HqLyjWDarjtT1zdp7dc")
	}
}
