package middleware_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

func TestBearer(t *testing.T) {
	authorization := func(values ...string) http.Header { return http.Header{"Authorization": values} }
	checkKeys(t, middleware.Bearer(), []keyCase{
		{name: "none"},
		{"token", authorization("Bearer abc"), "abc"},
		{"scheme in any case", authorization("bEARER abc"), "abc"},
		{"several spaces", authorization("Bearer   abc"), "abc"},
		{"trimmed", authorization(" Bearer abc\t"), "abc"},
		{"all of token68", authorization("Bearer aZ09-._~+/=="), "aZ09-._~+/=="},
		{"padding alone", authorization("Bearer =="), ""},
		{"padding within", authorization("Bearer a=b"), ""},
		{"padding in front", authorization("Bearer =abc"), ""},
		{"padding on both sides", authorization("Bearer ==abc=="), ""},
		{"padding in front of a letter and behind it", authorization("Bearer =a="), ""},
		{"much padding", authorization("Bearer a" + strings.Repeat("=", 300)), "a" + strings.Repeat("=", 300)},
		{"no token", authorization("Bearer"), ""},
		{"no token but a space", authorization("Bearer "), ""},
		{"no space", authorization("Bearerabc"), ""},
		{"tab", authorization("Bearer\tabc"), ""},
		{"tab behind the space", authorization("Bearer \tabc"), ""},
		{"two tokens", authorization("Bearer abc def"), ""},
		{"parameters", authorization("Bearer a,b"), ""},
		{"quoted", authorization(`Bearer "abc"`), ""},
		{"word in front", authorization("n1 Bearer abc"), ""},
		{"longer scheme", authorization("xBearer abc"), ""},
		{"another scheme", authorization("Basic abc"), ""},
		{"kelvin sign", authorization("Bearer \u212a"), ""},
		{"two headers", authorization("Bearer abc", "Bearer abc"), ambiguous},
		{"another and Bearer", authorization("Basic abc", "Bearer abc"), ambiguous},
	})
}

func TestSpellingsOfAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Key: middleware.Bearer()}))(hello)
		served := 0
		for i := range 100 {
			for _, spelling := range []string{
				"n%d Bearer K", "xBearer%d K", "Bearer K%d K", "Bearer  \tK%d", "Bearer%dK", "Bearer \"K%d\"", "Basic K%d", "Bearer K%d,", "K%d",
			} {
				header := http.Header{"Authorization": {fmt.Sprintf(spelling, i)}}
				if (call{header: header}).to(h).Code == http.StatusOK {
					served++
				}
			}
		}
		if served != 5 {
			t.Errorf("%d of 900 misspelled tokens served, want 5 for the address", served)
		}
		served = 0
		for i := range 100 { // of the right token, all spellings that are one
			scheme := []string{"Bearer", "bearer", "BEARER", "bEaReR"}[i%4]
			header := http.Header{"Authorization": {scheme + strings.Repeat(" ", i%7+1) + "K" + strings.Repeat(" ", i%3)}}
			if (call{header: header}).to(h).Code == http.StatusOK {
				served++
			}
		}
		if served != 5 {
			t.Errorf("%d spellings of one token served, want 5", served)
		}
	})
}
