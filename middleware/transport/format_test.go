package transport

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// TestFormat searches for the credential, its hash and the seed in every way to print a
// Transport that was used.
func TestFormat(t *testing.T) {
	const canary = "sk-canary-987"
	tr, err := New(answering(http.StatusOK), Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := get(t, "https://api.example.com/")
	r.Header.Set("Authorization", "Bearer "+canary)
	response, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	key, _ := tr.keyOf(r)
	secrets := map[string]string{
		"the credential":          canary,
		"the seed":                string(tr.seed),
		"the seed in hexadecimal": hex.EncodeToString(tr.seed),
		"the seed as numbers":     strings.Trim(fmt.Sprintf("%d", tr.seed), "[]"),
		"the hash in hexadecimal": hex.EncodeToString(key[:]),
		"the hash in base64":      base64.StdEncoding.EncodeToString(key[:]),
		"the hash as numbers":     strings.Trim(fmt.Sprint(key), "[]"),
		"the hash in Go's form":   strings.Trim(fmt.Sprintf("%#v", key), "}")[len("pace.Key{"):],
	}
	var prints []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		prints = append(prints, fmt.Sprintf(verb, tr), fmt.Sprintf(verb, &http.Client{Transport: tr}), fmt.Sprintf(verb, []any{tr}))
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("a client", "transport", tr)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("a client", "transport", tr)
	text, err := json.Marshal(map[string]any{"transport": tr})
	if err != nil {
		t.Fatal(err)
	}
	prints = append(prints, log.String(), string(text))
	for _, p := range prints {
		for what, secret := range secrets {
			if strings.Contains(p, secret) {
				t.Errorf("%s is in %s", what, p)
			}
		}
	}
	type bare Transport // without Format: what the search must be able to find
	shown := fmt.Sprintf("%+v", (*bare)(tr))
	if !strings.Contains(shown, secrets["the seed as numbers"]) {
		t.Errorf("the search would not find the seed in %s", shown)
	}
}

// An answering is a base that answers with a status.
type answering int

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: int(a), Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

func get(t testing.TB, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
