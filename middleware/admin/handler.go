package admin

import (
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

type handler struct {
	limiter   *ratelimit.Limiter
	authorize func(*http.Request) bool
	config    Config
	origins   *http.CrossOriginProtection
	maxTable  int64        // MaxTableBody, but in tests
	logged    atomic.Int64 // when a panic was last logged, in seconds since 1970
}

// An operation is what one method does at one path.
type operation struct {
	action Action
	serve  func(*call)
}

// operations are by path and method. HEAD is allowed where GET is. No path contains
// anything that a caller chooses, and none is redirected.
var operations = map[string]map[string]operation{
	"/key/state":        {http.MethodPost: {ActionState, (*call).state}},
	"/key/reset":        {http.MethodPost: {ActionReset, (*call).reset}},
	"/key/reset-shared": {http.MethodPost: {ActionResetShared, (*call).resetShared}},
	"/table":            {http.MethodGet: {ActionTable, (*call).table}, http.MethodPut: {ActionReplace, (*call).replace}},
	"/table/summary":    {http.MethodGet: {ActionSummary, (*call).summary}},
	"/shadow":           {http.MethodGet: {ActionShadow, (*call).shadow}},
	"/denied":           {http.MethodGet: {ActionDenied, (*call).denied}},
	"/openapi.json":     {http.MethodGet: {ActionDescribe, (*call).describe}},
}

// challenge is the scheme of most credentials; authorize may know others.
const challenge = "Bearer"

// ServeHTTP answers one request.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	c := &call{handler: h, w: w, r: r}
	defer h.observe(c)
	if r.ContentLength != 0 {
		c.bodyWithin(keyBodyTime)
	}
	methods := operations["/"+strings.TrimPrefix(r.URL.Path, "/")]
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	op, found := methods[method]
	c.event.Action = op.action
	switch {
	case h.origins.Check(r) != nil:
		c.problem(http.StatusForbidden, "The request comes from a web page of another origin that is not trusted.")
	case !h.authorized(r) && r.Header.Get("Authorization") == "":
		w.Header().Set("WWW-Authenticate", challenge) // a must: RFC 9110, section 15.5.2
		c.problem(http.StatusUnauthorized, "The request is not authorized: it has no credentials.")
	case !h.authorized(r):
		c.problem(http.StatusForbidden, "The request is not authorized.")
	case methods == nil && belowPrefix(r.URL.Path):
		c.problem(http.StatusNotFound, "There is nothing at this path, but there is at its end: mount the handler with http.StripPrefix. /openapi.json describes what there is.")
	case methods == nil:
		c.problem(http.StatusNotFound, "There is nothing at this path; /openapi.json describes what there is.")
	case !found:
		w.Header().Set("Allow", allow(methods))
		c.problem(http.StatusMethodNotAllowed, "The method is not one of those in the Allow header.")
	default:
		op.serve(c)
	}
}

// belowPrefix reports whether a path is that of an operation behind the pattern by which a
// mux serves the handler.
func belowPrefix(path string) bool {
	for end := range operations {
		if prefix, ok := strings.CutSuffix(path, end); ok && prefix != "" && !strings.HasSuffix(prefix, "/") {
			return true
		}
	}
	return false
}

// authorized calls the program's function. A panic authorizes nothing.
func (h *handler) authorized(r *http.Request) (ok bool) {
	if store.Try(func() { ok = h.authorize(r) }) != nil {
		h.log(r, "admin: authorize panicked, the request was denied")
		return false
	}
	return ok
}

func (h *handler) observe(c *call) {
	if h.config.Observe == nil {
		return
	}
	if store.Try(func() { h.config.Observe(c.r, c.event) }) != nil {
		h.log(c.r, "admin: Config.Observe panicked")
	}
}

// log writes a constant: the value of a panic may hold anything.
func (h *handler) log(r *http.Request, what string) {
	now := time.Now().Unix()
	if last := h.logged.Load(); now == last || !h.logged.CompareAndSwap(last, now) {
		return
	}
	logger := h.config.Logger
	if logger == nil {
		logger = slog.Default()
	}
	_ = store.Try(func() { logger.ErrorContext(r.Context(), what) })
}

// allow lists the methods of a path, as RFC 9110, section 10.2.1, has it.
func allow(methods map[string]operation) string {
	names := slices.Collect(maps.Keys(methods))
	if _, ok := methods[http.MethodGet]; ok {
		names = append(names, http.MethodHead)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
