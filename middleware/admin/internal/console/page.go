// Package console is the page that an operator opens in a browser. It shows what the streams
// and responses of package admin contain, and loads nothing else.
package console

import (
	"crypto/sha256"
	_ "embed" // for the page
	"encoding/base64"
	"strings"
	"sync"
)

//go:embed console.html
var html string

//go:embed console.css
var style string

//go:embed console.js
var script string

// Page returns the page with its style and script in it, and its Content-Security-Policy, which
// permits exactly these, by their hashes, and requests to the page's own origin.
var Page = sync.OnceValues(func() (page []byte, policy string) {
	whole := strings.NewReplacer("/*style*/", style, "/*script*/", script).Replace(html)
	return []byte(whole), "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) +
		"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
		"; require-trusted-types-for 'script'; trusted-types 'none'"
})

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
