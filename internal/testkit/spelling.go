package testkit

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Canary is a key that a header field can carry. Each of [Spellings] but the plain one
// changes it.
const Canary = `sk_live+abc/DEF==?~&"q" é`

// Spellings returns a key in the spellings in which it may turn up in a text, by the
// names of the encodings.
func Spellings(key string) map[string]string {
	bytes := []byte(key)
	quoted := strconv.Quote(key)
	encoded, _ := json.Marshal(key) // a string always can be
	std, web := base64.StdEncoding.EncodeToString(bytes), base64.URLEncoding.EncodeToString(bytes)
	return map[string]string{
		"plain":             key,
		"Go":                quoted[1 : len(quoted)-1],
		"JSON":              string(encoded[1 : len(encoded)-1]),
		"URL query":         url.QueryEscape(key),
		"URL query, %20":    strings.ReplaceAll(url.QueryEscape(key), "+", "%20"),
		"URL query, lower":  lowerEscapes(url.QueryEscape(key)),
		"URL path":          url.PathEscape(key),
		"URL, twice":        url.QueryEscape(url.QueryEscape(key)),
		"URL, every byte":   everyByte(key),
		"HTML":              html.EscapeString(key),
		"hex":               hex.EncodeToString(bytes),
		"HEX":               strings.ToUpper(hex.EncodeToString(bytes)),
		"hex, spaced":       fmt.Sprintf("% x", key),
		"base64":            std,
		"base64, no =":      strings.TrimRight(std, "="),
		"base64 URL":        web,
		"base64 URL, no =":  strings.TrimRight(web, "="),
		"base64 in a query": url.QueryEscape(std),
		"bytes":             strings.Trim(fmt.Sprintf("%d", bytes), "[]"),
	}
}

// Spelled returns the names of the spellings of key that are in text, in order.
func Spelled(text, key string) []string {
	var found []string
	for name, spelling := range Spellings(key) {
		if strings.Contains(text, spelling) {
			found = append(found, name)
		}
	}
	return slices.Sorted(slices.Values(found))
}

// SpellingNames returns the names of all spellings, in order.
func SpellingNames() []string { return slices.Sorted(maps.Keys(Spellings(""))) }

// lowerEscapes writes %2B as %2b.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] == '%' && i+2 < len(b) {
			copy(b[i+1:i+3], strings.ToLower(s[i+1:i+3]))
		}
	}
	return string(b)
}

// everyByte percent-encodes also what need not be.
func everyByte(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}
