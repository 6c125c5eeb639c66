package admin

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

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
	feed      *feed
	streams   atomic.Int64 // how many there are
	shutdowns shutdowns
}

// An operation is what one method does at one path.
type operation struct {
	action Action
	serve  func(*call)
}

// operations are by path and method. HEAD is allowed where GET is. No path contains
// anything that a caller chooses, and none is redirected.
var operations = map[string]map[string]operation{
	"/":                 {http.MethodGet: {ActionConsole, (*call).console}},
	"/live":             {http.MethodGet: {ActionLive, (*call).live}},
	"/key/state":        {http.MethodPost: {ActionState, (*call).state}},
	"/key/reset":        {http.MethodPost: {ActionReset, (*call).reset}},
	"/key/reset-shared": {http.MethodPost: {ActionResetShared, (*call).resetShared}},
	"/key/block":        {http.MethodPost: {ActionBlock, (*call).block}},
	"/key/unblock":      {http.MethodPost: {ActionUnblock, (*call).unblock}},
	"/table":            {http.MethodGet: {ActionTable, (*call).table}, http.MethodPut: {ActionReplace, (*call).replace}},
	"/table/summary":    {http.MethodGet: {ActionSummary, (*call).summary}},
	"/table/changes":    {http.MethodGet: {ActionChanges, (*call).trail}},
	"/table/rollback":   {http.MethodPost: {ActionRollBack, (*call).rollBack}},
	"/table/override":   {http.MethodPost: {ActionOverride, (*call).override}},
	"/shadow":           {http.MethodGet: {ActionShadow, (*call).shadow}},
	"/denied":           {http.MethodGet: {ActionDenied, (*call).denied}},
	"/openapi.json":     {http.MethodGet: {ActionDescribe, (*call).describe}},
}

// The challenges of a response that asks for credentials; authorize may know other schemes.
const (
	challenge      = "Bearer"
	challengeBasic = `Basic realm="keyrate", charset="UTF-8"` // makes a browser ask for a password
)

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
	if op.action == ActionLive {
		c.stop = h.shutdowns.of(r)
	}
	switch {
	case !h.sameOrigin(c):
		c.problem(http.StatusForbidden, otherOrigin)
	case !h.authorized(r):
		c.unauthorized()
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

// sameOrigin reports whether a request may come from the web page that sent it, if one did. A page
// of another origin cannot read a response, but could make the server compute it with the
// credentials that the browser has. A link to the console works.
func (h *handler) sameOrigin(c *call) bool {
	if c.event.Action == ActionConsole {
		return h.origins.Check(c.r) == nil
	}
	asIfUnsafe := *c.r
	asIfUnsafe.Method = http.MethodPost
	return h.origins.Check(&asIfUnsafe) == nil
}

const otherOrigin = "The request comes from a web page of another origin that is not trusted."

// belowPrefix reports whether a path is that of an operation behind the pattern by which a
// mux serves the handler.
func belowPrefix(path string) bool {
	for end := range operations {
		if prefix, ok := strings.CutSuffix(path, end); ok && end != "/" && prefix != "" && !strings.HasSuffix(prefix, "/") {
			return true
		}
	}
	return false
}

// authorized reports whether the program's function authorizes a request. A browser sends the
// password that its user has entered in the form of Basic credentials: the function gets the
// request as it is, and then with the password as a Bearer credential.
func (h *handler) authorized(r *http.Request) bool {
	if h.authorizes(r) {
		return true
	}
	_, password, ok := r.BasicAuth()
	if !ok || password == "" || strings.ContainsFunc(password, unicode.IsControl) {
		return false // an empty one would be the credential of a program whose secret is not set
	}
	again := *r
	again.Header = r.Header.Clone()
	again.Header.Set("Authorization", challenge+" "+password)
	return h.authorizes(&again)
}

// authorizes calls the program's function. A panic authorizes nothing.
func (h *handler) authorizes(r *http.Request) (ok bool) {
	if store.Try(func() { ok = h.authorize(r) }) != nil {
		h.log(r.Context(), "admin: authorize panicked, the request was denied")
		return false
	}
	return ok
}

// unauthorized responds to a request that is not authorized. A browser asks for a password
// once more only if it gets 401.
func (c *call) unauthorized() {
	_, _, basic := c.r.BasicAuth()
	if !basic && c.r.Header.Get("Authorization") != "" {
		c.problem(http.StatusForbidden, "The request is not authorized.")
		return
	}
	c.w.Header().Set("WWW-Authenticate", challenge) // a must: RFC 9110, section 15.5.2
	if c.event.Action == ActionConsole {
		c.w.Header().Add("WWW-Authenticate", challengeBasic)
	}
	detail := "The request is not authorized: it has no credentials."
	if basic {
		detail = "The request is not authorized: the password is not the secret of the operators."
	}
	c.problem(http.StatusUnauthorized, detail)
}

func (h *handler) observe(c *call) {
	if h.config.Observe == nil {
		return
	}
	if store.Try(func() { h.config.Observe(c.r, c.event) }) != nil {
		h.log(c.r.Context(), "admin: Config.Observe panicked")
	}
}

// log writes a constant: the value of a panic may hold anything.
func (h *handler) log(ctx context.Context, what string) {
	now := time.Now().Unix()
	if last := h.logged.Load(); now == last || !h.logged.CompareAndSwap(last, now) {
		return
	}
	logger := h.config.Logger
	if logger == nil {
		logger = slog.Default()
	}
	_ = store.Try(func() { logger.ErrorContext(ctx, what) })
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
