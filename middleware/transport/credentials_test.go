package transport

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// known are headers of well-known APIs that hold a credential.
var known = []string{
	"Authorization", "X-API-Key", "Api-Key", "ApiKey", "X-ApiKey", "Ocp-Apim-Subscription-Key", "PRIVATE-TOKEN", "JOB-TOKEN",
	"X-Auth-Token", "X-Auth-Key", "X-Access-Token", "X-Goog-Api-Key", "X-Shopify-Access-Token", "X-Shopify-Storefront-Access-Token",
	"DD-API-KEY", "DD-APPLICATION-KEY", "xi-api-key", "X-RapidAPI-Key", "X-Vault-Token", "X-Consul-Token", "X-Figma-Token",
	"X-Postmark-Server-Token", "X-Postmark-Account-Token", "Circle-Token", "X-Honeycomb-Team", "X-Insert-Key", "X-Query-Key",
	"X-License-Key", "X-Algolia-API-Key", "X-Typesense-Api-Key", "X-Riot-Token", "X-Subscription-Token", "X-CMC_PRO_API_KEY",
	"x-cg-demo-api-key", "X-MBX-APIKEY", "CB-ACCESS-KEY", "OK-ACCESS-KEY", "KC-API-KEY", "X-BAPI-API-KEY", "X-GEMINI-APIKEY",
	"X-N8N-API-KEY", "X-Redmine-API-Key", "X-Plex-Token", "X-JFrog-Art-Api", "Fastly-Key", "X-Tableau-Auth", "X-Cybozu-API-Token",
	"X-Hasura-Admin-Secret", "X-IBM-Client-Id", "X-StorageApi-Token", "X-SF-Token", "Token", "X-Some-Unknown-Vendor-Api-Key",
}

// TestCredentials checks that each header with a credential makes a key of its own,
// which depends on its value and no other header.
func TestCredentials(t *testing.T) {
	seen := map[string]string{}
	for _, name := range append([]string{""}, known...) {
		for _, value := range []string{"alice", "bob"} {
			r := get(t, "https://api.example.com/")
			for _, other := range []string{
				"Accept", "Cookie", "Idempotency-Key", "Surrogate-Key", "Sec-WebSocket-Key", "X-CSRF-Token", "X-XSRF-Token",
				"Proxy-Authorization", "X-Request-Id", "X-Amz-Server-Side-Encryption-Customer-Key", "If-None-Match",
			} {
				r.Header.Set(other, value)
			}
			who := name + " " + value
			if name == "" {
				who = "without"
			} else {
				r.Header.Set(name, value)
			}
			key := credentials(r)
			if other, found := seen[key]; found && other != who {
				t.Errorf("%s has the key of %s", who, other)
			}
			seen[key] = who
		}
	}
	if want := 1 + 2*len(known); len(seen) != want || seen[""] != "without" {
		t.Errorf("%d keys, want %d, and none without a credential", len(seen), want)
	}
}

// TestCredentialsElsewhere checks which requests have the same key by their query, user
// or signature.
func TestCredentialsElsewhere(t *testing.T) {
	const aws = "AWS4-HMAC-SHA256 Credential=%s/%s/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=%s"
	with := func(url, authorization string) *http.Request {
		r := get(t, url)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		return r
	}
	const api = "https://api.example.com/"
	spelt := get(t, api)
	spelt.Header["DD-API-KEY"] = []string{"alice"} // which Header.Get does not find
	canonical := get(t, api)
	canonical.Header.Set("Dd-Api-Key", "alice")
	for _, c := range []struct {
		name string
		a, b *http.Request
		same bool
	}{
		{"another spelling of the name", spelt, canonical, true},
		{"a key in the query", with(api+"?api_key=a", ""), with(api+"?api_key=b", ""), false},
		{"an apiKey in the query", with(api+"?apiKey=a&page=1", ""), with(api+"?apiKey=a&page=2", ""), true},
		{"an access_token in the query", with(api+"?access_token=a", ""), with(api+"?access_token=b", ""), false},
		{"other things in the query", with(api+"?key=a&token=1", ""), with(api+"?key=b&token=2", ""), true},
		{"a user in the URL", with("https://a:b@api.example.com/", ""), with("https://b:b@api.example.com/", ""), false},
		{"bearers", with(api, "Bearer a"), with(api, "Bearer b"), false},
		{"AWS, another signature", with(api, fmt.Sprintf(aws, "AKIA1", "20260105", "1")), with(api, fmt.Sprintf(aws, "AKIA1", "20260106", "2")), true},
		{"AWS, another key", with(api, fmt.Sprintf(aws, "AKIA1", "20260105", "1")), with(api, fmt.Sprintf(aws, "AKIA2", "20260105", "1")), false},
		{"Digest", with(api, `Digest username="a", nonce="1", response="1"`), with(api, `Digest username="a", nonce="2", response="2"`), true},
		{"OAuth 1, another user", with(api, `OAuth oauth_consumer_key="c", oauth_token="a", oauth_nonce="1"`), with(api, `OAuth oauth_consumer_key="c", oauth_token="b", oauth_nonce="1"`), false},
		{"OAuth 1", with(api, `OAuth oauth_consumer_key="c", oauth_token="a", oauth_nonce="1"`), with(api, `OAuth oauth_consumer_key="c", oauth_token="a", oauth_nonce="2"`), true},
		{"Hawk", with(api, `Hawk id="a", ts="1", mac="1"`), with(api, `Hawk id="a", ts="2", mac="2"`), true},
		{"Azure storage", with(api, "SharedKey a:1"), with(api, "SharedKey a:2"), true},
		{"a scheme that is not known", with(api, "Custom a"), with(api, "Custom b"), false},
	} {
		if same := credentials(c.a) == credentials(c.b); same != c.same || credentials(c.a) == "" != (c.name == "other things in the query") {
			t.Errorf("%s: the same %t, want %t", c.name, same, c.same)
		}
	}
}

// TestNoCredential checks that only the first 401 or 429 to a request without a known
// credential reports that such requests share a pace.
func TestNoCredential(t *testing.T) {
	const api = "https://api.example.com/"
	for _, c := range []struct {
		name     string
		statuses []int
		header   string
		key      func(*http.Request) string
		want     int // events
	}{
		{"denied", []int{200, 429, 429, 200, 429}, "X-Who-Am-I", nil, 1},
		{"not authorized", []int{401, 401, 429}, "X-Who-Am-I", nil, 1},
		{"served", []int{200, 404, 403, 503}, "X-Who-Am-I", nil, 0},
		{"a credential that is known", []int{401, 429}, "DD-API-KEY", nil, 0},
		{"a Key of the program", []int{401, 429}, "X-Who-Am-I", func(r *http.Request) string { return r.Header.Get("X-Who-Am-I") }, 0},
		{"a Key that says all are one", []int{401, 429}, "X-Who-Am-I", func(*http.Request) string { return "" }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := 0
				tr, err := New(nil, Config{MaxRetries: -1, Key: c.key, Observe: func(_ context.Context, e Event) {
					if e.Action != NoCredential {
						return
					}
					if got++; e.Host != "api.example.com" || e.Err == nil || !strings.Contains(e.Err.Error(), "Config.Key") || e.Status != 401 && e.Status != 429 {
						t.Errorf("%+v", e)
					}
				}})
				if err != nil {
					t.Fatal(err)
				}
				for _, status := range c.statuses {
					tr.base = answering(status)
					r := get(t, api)
					r.Header.Set(c.header, "alice")
					response, err := tr.RoundTrip(r)
					if err != nil {
						t.Fatal(err)
					}
					_ = response.Body.Close()
				}
				if got != c.want {
					t.Errorf("%d events, want %d", got, c.want)
				}
			})
		})
	}
}
