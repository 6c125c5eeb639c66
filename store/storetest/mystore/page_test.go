package mystore

import (
	"os"
	"strings"
	"testing"
)

// TestPage: docs/adding-a-store.md shows this store.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/adding-a-store.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("mystore_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```go\n"+string(code)+"```\n") {
		t.Error("the code of docs/adding-a-store.md differs from mystore_test.go; copy the file into the page")
	}
}
