package admin

import (
	"net/http"

	"github.com/keyrate/keyrate/middleware/admin/internal/console"
)

// console responds with the page for browsers.
func (c *call) console() {
	page, policy := console.Page()
	header := c.w.Header()
	header.Set("Content-Security-Policy", policy)
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Frame-Options", "DENY")
	c.answerBytes(http.StatusOK, "text/html; charset=utf-8", page)
}
