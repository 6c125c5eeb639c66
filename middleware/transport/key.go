package transport

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
)

// credentialHeaders are where APIs look for the key whose limit counts.
var credentialHeaders = []string{
	"Authorization",
	"X-Api-Key", // Anthropic and many others
	"Api-Key",   // Azure
	"Apikey",
	"Ocp-Apim-Subscription-Key",
	"Private-Token", // GitLab
	"X-Auth-Token",
	"X-Goog-Api-Key",
	"X-Shopify-Access-Token",
}

// credentials is the Key of a Config that has none.
func credentials(r *http.Request) string {
	var b []byte
	for i, name := range credentialHeaders {
		for _, value := range r.Header[name] {
			b = append(b, byte(i))
			b = binary.AppendUvarint(b, uint64(len(value))) // so that no two sets read alike
			b = append(b, value...)
		}
	}
	if r.URL.User != nil && len(r.Header["Authorization"]) == 0 {
		b = append(append(b, 0xff), r.URL.User.String()...)
	}
	return string(b)
}

// A paceKey stands for a host and a credential.
type paceKey [sha256.Size]byte

// keyOf hashes, so that no credential is kept, however long it is.
func (t *Transport) keyOf(r *http.Request) paceKey {
	host := strings.ToLower(r.URL.Scheme + "://" + r.URL.Host)
	b := binary.AppendUvarint(slices.Clip(t.seed), uint64(len(host)))
	b = append(append(b, host...), t.config.key(r)...)
	return sha256.Sum256(b)
}

// key is what Key returns. If that panics, the credentials count, as without it.
func (c Config) key(r *http.Request) (key string) {
	defer func() {
		if recover() != nil {
			key = credentials(r)
		}
	}()
	return c.Key(r)
}
