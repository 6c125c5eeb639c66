package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// keyState is what is known of a key.
type keyState struct {
	Key          string       `json:"key"`
	Exempt       bool         `json:"exempt"`
	Plan         *string      `json:"plan,omitempty"`
	Allowed      bool         `json:"allowed"`
	WouldDeny    bool         `json:"would_deny"`
	RetryAfterMS int64        `json:"retry_after_ms"`
	Source       string       `json:"source"`
	Limits       []limitState `json:"limits"`
}

// limitState is what is known of one limit of a key. What is only watched may not be
// known at all.
type limitState struct {
	Name   string `json:"name"`
	Limit  string `json:"limit"`
	Shadow bool   `json:"shadow"`
	*bucketState
}

type bucketState struct {
	Remaining    int   `json:"remaining"`
	Violated     bool  `json:"violated"`
	RetryAfterMS int64 `json:"retry_after_ms"`
	ResetAfterMS int64 `json:"reset_after_ms"`
}

// state tells what a call with a key would be answered now, and charges nothing.
func (c *call) state() {
	key, ok := c.key()
	if !ok {
		return
	}
	var r ratelimit.Result
	err := guarded(func() (err error) {
		r, err = c.limiter.Peek(c.r.Context(), key)
		return err
	})
	if err != nil {
		c.unavailable(err)
		return
	}
	state := keyState{
		Key: c.event.Key, Exempt: r.Exempt(), Allowed: r.Allowed, WouldDeny: r.WouldDeny,
		RetryAfterMS: ceilMS(r.RetryAfter), Source: r.Source.String(), Limits: []limitState{},
	}
	if t := c.config.Table; t != nil {
		if plan, ok := t.PlanOf(key); ok {
			state.Plan = &plan
		}
	}
	for i := range r.Len() {
		state.Limits = append(state.Limits, stateOf(r.State(i), r.Shadow, true))
	}
	for i := range r.ShadowLen() {
		s, known := r.ShadowState(i)
		state.Limits = append(state.Limits, stateOf(s, true, known))
	}
	c.answer(http.StatusOK, "application/json", state)
}

func stateOf(s ratelimit.LimitState, shadow, known bool) limitState {
	state := limitState{Name: s.Limit.Name, Limit: s.Limit.String(), Shadow: shadow}
	if known {
		state.bucketState = &bucketState{s.Remaining, s.Violated, ceilMS(s.RetryAfter), ceilMS(s.ResetAfter)}
	}
	return state
}

// ceilMS rounds up, so that whoever waits so long has waited long enough.
func ceilMS(d time.Duration) int64 {
	ms := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		ms++
	}
	return ms
}

// reset fills the buckets of a key.
func (c *call) reset() {
	key, ok := c.key()
	if !ok {
		return
	}
	err := guarded(func() error { return c.limiter.Reset(c.r.Context(), key) })
	if err != nil {
		c.unavailable(err)
		return
	}
	c.begin(http.StatusNoContent, "")
}

// guarded makes a panic of the program's store into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if recover() != nil {
			err = &ratelimit.StoreError{Class: ratelimit.ClassPanic}
		}
	}()
	return f()
}

// unavailable answers where the store did not. The text of the error may hold anything.
func (c *call) unavailable(err error) {
	c.w.Header().Set(middleware.HeaderRetryAfter, "1")
	c.answerProblem(problem{
		Status: http.StatusServiceUnavailable, Class: ratelimit.ErrorClass(err),
		Detail: "The limits of the key, or its buckets, cannot be reached; retry later.",
	})
}

// key reads whom a request is about. Otherwise it answers, and returns false.
func (c *call) key() (key string, ok bool) {
	body := c.body(MaxKeyBody, keyBodyTime)
	if body == nil {
		return "", false
	}
	text, err := io.ReadAll(body)
	if err != nil {
		c.bodyFailed(err)
		return "", false
	}
	c.bodyRead()
	key, detail := parseKey(text)
	if detail != "" {
		c.problem(http.StatusBadRequest, detail)
		return "", false
	}
	c.event.Key = ratelimit.HashKey(key)
	return key, true
}

// parseKey returns the key of a limiter that a body stands for, or what is wrong.
func parseKey(text []byte) (key, detail string) {
	const form = `The body must be a JSON object with one text: {"key": "..."}, the key as a caller sends it, or {"address": "192.0.2.1"}, that of a caller without a key.`
	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	var tokens [4]json.Token
	for i := range tokens {
		token, err := in.Token()
		if err != nil {
			return "", form
		}
		tokens[i] = token
	}
	name, _ := tokens[1].(string)
	value, isText := tokens[2].(string)
	if _, err := in.Token(); tokens[0] != json.Delim('{') || !isText || tokens[3] != json.Delim('}') || !errors.Is(err, io.EOF) {
		return "", form
	}
	// What JSON cannot carry, the parser has replaced: it would be another key.
	if strings.ContainsRune(value, utf8.RuneError) {
		return "", "The key must be text in UTF-8, without U+FFFD."
	}
	switch name {
	case "key":
		if key = middleware.BucketKey(value); key == "" {
			return "", `The key is empty; for a caller without a key, send {"address": "192.0.2.1"}.`
		}
		return key, ""
	case "address":
		a, err := netip.ParseAddr(value)
		if err != nil {
			return "", `The address must be one of IPv4 or IPv6, such as "192.0.2.1" or "2001:db8::1".`
		}
		return middleware.AddressKey(a), ""
	default:
		return "", form
	}
}
