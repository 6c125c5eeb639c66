package replay

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestNumbering compares a numbering with a map, through collisions and growth.
func TestNumbering(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 22))
	var n numbering
	want := map[string]uint32{}
	for range 200_000 {
		text := strconv.Itoa(rng.IntN(1 << rng.IntN(17)))
		if rng.IntN(1000) == 0 {
			text = ""
		}
		number, fresh := n.number([]byte(text), n.hash([]byte(text)))
		known, ok := want[text]
		if fresh == ok || ok && number != known || !ok && number != uint32(len(want)) {
			t.Fatalf("%q is number %d, %t; want %d, %t", text, number, fresh, known, !ok)
		}
		want[text] = number
	}
	for text, number := range want {
		if got := string(n.text(number)); got != text {
			t.Fatalf("number %d is %q, want %q", number, got, text)
		}
	}
	if n.len() != len(want) {
		t.Errorf("%d texts, want %d", n.len(), len(want))
	}
}
