package admin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestConsole: the page is small and whole, and its policy permits its own script and style and
// nothing else.
func TestConsole(t *testing.T) {
	d := newDesk(t)
	w := d.ask(t, "GET", "/", "")
	page := w.Body.String()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || len(page) > 100<<10 || d.last().Action != admin.ActionConsole {
		t.Fatalf("status %d, %d bytes, %v, %+v", w.Code, len(page), w.Header(), d.last())
	}
	policy := w.Header().Get("Content-Security-Policy")
	for _, directive := range []string{
		"default-src 'none'", "script-src " + hashOf(t, page, "script"), "style-src " + hashOf(t, page, "style"), "connect-src 'self'", "img-src data:",
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
	} {
		if !strings.Contains("; "+policy+"; ", "; "+directive+"; ") {
			t.Errorf("%s is not in the policy: %s", directive, policy)
		}
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// Nothing is loaded from elsewhere: the names of XML are no addresses to load from.
	for _, url := range regexp.MustCompile(`(https?:)?//[a-z][\w.-]+\.[a-z]+[^"'\s]*`).FindAllString(page, -1) {
		if !strings.HasPrefix(url, "http://www.w3.org/2000/svg") {
			t.Errorf("the page has the address %s", url)
		}
	}
	for _, unsafe := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval(", "onclick", "style=", "localStorage", "sessionStorage", "document.cookie"} {
		if strings.Contains(page, unsafe) {
			t.Errorf("the page has %s", unsafe)
		}
	}
}

// hashOf returns the source expression of the only script or style of a page.
func hashOf(t *testing.T, page, element string) string {
	t.Helper()
	found := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(page, -1)
	if len(found) != 1 || len(found[0][1]) < 1000 {
		t.Fatalf("the page has %d of %s", len(found), element)
	}
	sum := sha256.Sum256([]byte(found[0][1]))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// TestPassword: a browser is asked for a password where the console is, and again after a wrong
// one; the password is the secret.
func TestPassword(t *testing.T) {
	d := newDesk(t)
	password := func(text string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ops:"+text))
	}
	for _, test := range []struct {
		path, credential string
		status           int
		basic            bool
	}{
		{"/", "Authorization: ", 401, true},
		{"/", password("stranger"), 401, true},
		{"/", password(""), 401, true},
		{"/", password("Bearer operator"), 401, true},
		{"/", "Authorization: Basic !", 403, false},
		{"/", "Authorization: Bearer stranger", 403, false},
		{"/", password("operator"), 200, false},
		{"/live", "Authorization: ", 401, false},
		{"/shadow", "Authorization: ", 401, false},
		{"/shadow", password("stranger"), 401, false},
		{"/shadow", password("operator"), 200, false},
		{"/", password("operator\r\nX-Admin: 1"), 401, true},
	} {
		w := d.ask(t, "GET", test.path, "", test.credential)
		challenges := strings.Join(w.Header().Values("WWW-Authenticate"), ", ")
		if w.Code != test.status || strings.Contains(challenges, `Basic realm="keyrate"`) != test.basic || (test.status == 401) != strings.HasPrefix(challenges, "Bearer") {
			t.Errorf("%s with %q: %d, %q", test.path, test.credential, w.Code, challenges)
		}
	}
}

// TestSecretNotSet: a program whose secret is empty authorizes no browser: an empty password does
// not become the credential.
func TestSecretNotSet(t *testing.T) {
	unset := ""
	h, err := admin.New(newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{}),
		func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer "+unset }, admin.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, credentials := range []string{"ops:", ":", ""} {
		w := (&desk{Handler: h}).ask(t, "GET", "/shadow", "", "Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
		if w.Code != http.StatusUnauthorized && w.Code != http.StatusForbidden {
			t.Errorf("%q: %d", credentials, w.Code)
		}
	}
}
