package admin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// subject reads the key that a request is about, and what is given beside it, of the names in
// more. If the body has no key, it responds and returns false.
func (c *call) subject(more ...string) (key string, given map[string]string, ok bool) {
	body := c.body(MaxKeyBody, keyBodyTime)
	if body == nil {
		return "", nil, false
	}
	text, err := io.ReadAll(body)
	if err != nil {
		c.bodyFailed(err)
		return "", nil, false
	}
	c.bodyRead()
	key, given, detail := parseSubject(text, more, c.event.Action == ActionBlock || c.event.Action == ActionUnblock)
	if detail != "" {
		c.problem(http.StatusBadRequest, detail)
		return "", nil, false
	}
	_, isAddress := given["address"]
	c.prefix = isAddress && !middleware.IsAddressKey(key)
	if c.hash = isHash(key) && !isAddress; c.hash {
		c.event.Key = key
	} else {
		c.event.Key = ratelimit.HashKey(key)
	}
	return key, given, true
}

// What a body about a key must look like.
const (
	formOfKey   = `The body must be a JSON object with one text: {"key": "..."}, the key as a caller sends it, or {"address": "192.0.2.1"}, that of a caller without a key.`
	hashOfKey   = `The hash of a key is not enough: the buckets are found by the key itself. The state of a key has its hash, to compare; a table accepts the hash.`
	formOfReset = formOfKey + ` {"key": "...", "limit": "GET /export"} names one of its limits, too.`
	ofAddress   = `A key that looks like an address or a prefix stands for no address: send {"address": "203.0.113.0/24"}. If callers do send it as their key, send its hash as the key: "sha256:" and the 64 hexadecimal digits of its SHA-256.`
	formOfBlock = formOfKey + ` The key may be its hash. {"key": "...", "until": "2026-12-04T18:00:00Z", "reason": "chargeback"} has an end and a reason, too.`
)

// parseSubject returns the key, as the limiter gets it, and the texts beside it in a body, or
// what is wrong with it. With blocks, an address may be a prefix, a key may be its hash, and it must
// not look like an address.
func parseSubject(text []byte, more []string, blocks bool) (key string, texts map[string]string, detail string) {
	form := formOfKey
	switch {
	case slices.Contains(more, "limit"):
		form = formOfReset
	case slices.Contains(more, "until"):
		form = formOfBlock
	}
	texts, ok := parseTexts(text, 1+len(more))
	for name, value := range texts {
		// The parser has replaced what is not UTF-8: it would be another key.
		if strings.ContainsRune(value, utf8.RuneError) {
			of := "key"
			if slices.Contains(more, name) {
				of = name
			}
			return "", nil, "The " + of + " must be text in UTF-8, without U+FFFD."
		}
	}
	key, isKey := texts["key"]
	address, isAddress := texts["address"]
	known := 0
	for _, name := range append([]string{"key", "address"}, more...) {
		if value, given := texts[name]; given {
			known++
			ok = ok && (value != "" || !slices.Contains(more, name))
		}
	}
	if _, isHash := texts["hash"]; isHash && !blocks {
		return "", nil, hashOfKey
	}
	if !ok || isKey == isAddress || known < len(texts) {
		return "", nil, form
	}
	if isAddress {
		if p, err := netip.ParsePrefix(address); blocks && err == nil && p.Masked() == p {
			return address, texts, ""
		}
		a, err := netip.ParseAddr(address)
		if err != nil {
			return "", nil, `The address must be one of IPv4 or IPv6, such as "192.0.2.1" or "2001:db8::1".`
		}
		return middleware.AddressKey(a), texts, ""
	}
	if isHash(key) {
		if blocks {
			return strings.ToLower(strings.TrimSpace(key)), texts, ""
		}
		return "", nil, hashOfKey
	}
	if key = middleware.BucketKey(key); key == "" {
		return "", nil, `The key is empty; for a caller without a key, send {"address": "192.0.2.1"}.`
	}
	if blocks && looksLikeAddress(key) {
		return "", nil, ofAddress
	}
	return key, texts, ""
}

// looksLikeAddress reports whether a table could have a key as an address, a prefix, or nearly one.
func looksLikeAddress(key string) bool {
	key = strings.TrimPrefix(key, "ip ")
	_, err := netip.ParsePrefix(key)
	_, err2 := netip.ParseAddr(key)
	return err == nil || err2 == nil
}

// isHash reports whether a text is the hash of a key, as a report shows it.
func isHash(text string) bool {
	hash, ok := strings.CutPrefix(strings.TrimSpace(text), "sha256:")
	_, err := hex.DecodeString(hash)
	return ok && err == nil && len(hash) == 2*sha256.Size
}

// parseTexts reads a JSON object of at most so many members, all strings with different
// names. ok is false for anything else.
func parseTexts(text []byte, most int) (texts map[string]string, ok bool) {
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	texts = make(map[string]string, most)
	for in.More() {
		name, err := in.Token()
		value, err2 := in.Token()
		n, isName := name.(string)
		v, isText := value.(string)
		_, twice := texts[n]
		if err != nil || err2 != nil || !isName || !isText || twice || len(texts) == most {
			return nil, false
		}
		texts[n] = v
	}
	if _, err := in.Token(); err != nil {
		return nil, false
	}
	_, err := in.Token()
	return texts, errors.Is(err, io.EOF)
}
