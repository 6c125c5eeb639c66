package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/store"
)

// TestPrintedWithoutKey: a log line with a request or a settlement shows no key.
func TestPrintedWithoutKey(t *testing.T) {
	const key = "sk-secret"
	r, s := store.Request{Home: key, Key: key, Cost: 7}, store.Settlement{Home: key, Key: key, Actual: 7}
	for _, v := range []any{r, &r, s, &s, []store.Settlement{s}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, key) || !strings.Contains(text, "7") {
				t.Errorf("%s of %T: %s", verb, v, text)
			}
		}
	}
	if text := fmt.Sprintf("%+v", store.Request{}); !strings.Contains(text, "Key: ") {
		t.Errorf("without a key: %s", text)
	}
}
