package transport

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"

	"github.com/keyrate/keyrate/middleware/transport/internal/pace"
)

// credentialNames are headers from which APIs take the key whose limit counts, beside
// those that end in one of credentialEndings.
var credentialNames = map[string]bool{
	"authorization":        true,
	"circle-token":         true, // CircleCI
	"deploy-token":         true, // GitLab, as the next two
	"job-token":            true,
	"private-token":        true,
	"fastly-key":           true,
	"token":                true,
	"x-authorization":      true,
	"x-consul-token":       true, // HashiCorp, as the next two
	"x-nomad-token":        true,
	"x-vault-token":        true,
	"x-emby-token":         true,
	"x-figma-token":        true,
	"x-honeycomb-team":     true,
	"x-ibm-client-id":      true,
	"x-insert-key":         true, // New Relic, as the next one
	"x-query-key":          true,
	"x-jfrog-art-api":      true,
	"x-mashape-key":        true, // RapidAPI, as the next one
	"x-rapidapi-key":       true,
	"x-ovh-application":    true,
	"x-plex-token":         true,
	"x-riot-token":         true,
	"x-sf-token":           true, // Splunk Observability
	"x-storageapi-token":   true, // Keboola
	"x-subscription-token": true, // Brave
	"x-tableau-auth":       true,
	"x-token":              true,
}

// credentialEndings are how the names of most others end: DD-API-KEY, xi-api-key,
// X-Shopify-Access-Token, Ocp-Apim-Subscription-Key. A token against forged requests, a
// key of encryption, of caches or of idempotency does not end so.
var credentialEndings = []string{
	"access-key", "access-token", "account-token", "admin-secret", "api-key", "api-token", "apikey", "apitoken",
	"app-key", "application-key", "auth-key", "auth-token", "client-secret", "license-key", "secret-key", "server-token",
	"subscription-key",
}

// isCredential reports whether the value of a header or of a query's parameter with
// this name is taken for a credential.
func isCredential(name string, query bool) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	if !query && credentialNames[name] {
		return true
	}
	return slices.ContainsFunc(credentialEndings, func(ending string) bool { return strings.HasSuffix(name, ending) })
}

// credentials is the Key of a Config that has none. It returns "" for a request
// without credentials.
func credentials(r *http.Request) string {
	b := appendCredentials(nil, r.Header, false)
	if r.URL.User != nil && len(r.Header["Authorization"]) == 0 {
		b = appendText(append(b, 'u'), r.URL.User.String())
	}
	if query := strings.ToLower(r.URL.RawQuery); strings.Contains(query, "key") || strings.Contains(query, "token") || strings.Contains(query, "secret") {
		b = appendCredentials(b, r.URL.Query(), true)
	}
	return string(b)
}

// appendCredentials appends what is a credential in a header or a query, so that no two
// sets of them read alike.
func appendCredentials(b []byte, fields map[string][]string, query bool) []byte {
	var names []string
	for name, values := range fields {
		if len(values) > 0 && isCredential(name, query) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range fields[name] {
			if !query {
				value = principal(value)
			}
			b = append(b, 'n')
			b = appendText(b, strings.ToLower(name))
			b = appendText(b, value)
		}
	}
	return b
}

func appendText(b []byte, text string) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

// keyOf hashes, so that no credential is kept, however long it is. found is false if
// the request has none, as far as the default Key can see.
func (t *Transport) keyOf(r *http.Request) (key pace.Key, found bool) {
	host := strings.ToLower(r.URL.Scheme + "://" + r.URL.Host)
	text := t.config.key(r)
	b := appendText(slices.Clip(t.seed), host)
	return sha256.Sum256(append(b, text...)), text != "" || t.config.Key != nil
}

// key is what Key returns. If that is nil or panics, the credentials count.
func (c Config) key(r *http.Request) (key string) {
	if c.Key == nil {
		return credentials(r)
	}
	defer func() {
		if recover() != nil {
			key = credentials(r)
		}
	}()
	return c.Key(r)
}
