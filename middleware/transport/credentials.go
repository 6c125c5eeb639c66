package transport

import (
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
)

// credentialNames are headers with a credential whose names end in none of
// credentialEndings.
var credentialNames = []string{
	"authorization", "x-authorization", "token", "x-token",
	"circle-token",                               // CircleCI
	"deploy-token", "job-token", "private-token", // GitLab
	"x-consul-token", "x-nomad-token", "x-vault-token", // HashiCorp
	"x-insert-key", "x-query-key", // New Relic
	"x-mashape-key", "x-rapidapi-key", // RapidAPI
	"x-sf-token",           // Splunk Observability
	"x-storageapi-token",   // Keboola
	"x-subscription-token", // Brave
	"fastly-key", "x-emby-token", "x-figma-token", "x-honeycomb-team", "x-ibm-client-id", "x-jfrog-art-api",
	"x-ovh-application", "x-plex-token", "x-riot-token", "x-tableau-auth",
}

// credentialEndings are the endings of most names: DD-API-KEY, xi-api-key,
// X-Shopify-Access-Token, Ocp-Apim-Subscription-Key. No name of a CSRF token, or of a key
// for encryption, caches or idempotency ends so.
var credentialEndings = []string{
	"access-key", "access-token", "account-token", "admin-secret", "api-key", "api-token", "apikey", "apitoken",
	"app-key", "application-key", "auth-key", "auth-token", "client-secret", "license-key", "secret-key", "server-token",
	"subscription-key",
}

// isCredential reports whether a header or a query parameter of this name is taken for a
// credential.
func isCredential(name string, query bool) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	return !query && slices.Contains(credentialNames, name) || slices.ContainsFunc(credentialEndings, func(ending string) bool { return strings.HasSuffix(name, ending) })
}

// credentials is the default Key. It returns "" for a request without credentials.
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

// appendCredentials appends the credentials in a header or a query, in a form that is
// different for different sets of them.
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
