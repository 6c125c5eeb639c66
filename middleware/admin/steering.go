package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
)

// Steering is what a [Fleet] can do that keeps old versions of its table and overrides it for a
// time. Its methods are called concurrently.
type Steering interface {
	// RollBack puts a version of Changes in force again, and lifts no block. It returns
	// [plans.ErrNoVersion] for one that is not kept.
	RollBack(ctx context.Context, who string, version int64) error
	// Override holds a key or a plan to other limits for a time.
	Override(ctx context.Context, who string, o plans.Override) error
	// EndOverride ends the override of a key or of a plan before its time.
	EndOverride(ctx context.Context, who, key, plan string) error
}

// trail responds with the changes of the table.
func (c *call) trail() {
	if _, ok := c.snapshot(); !ok {
		return
	}
	all := []tableChange{}
	for _, change := range c.changes() {
		all = append(all, tableChange{change.Version, change.At.UTC(), change.Who, append([]string{}, change.What...)})
	}
	c.answer(http.StatusOK, "application/json", map[string]any{"changes": all})
}

// rollBack puts an old version of the table in force on all nodes.
func (c *call) rollBack() {
	var body struct {
		Version int64 `json:"version"`
	}
	steering, ok := c.steering(&body, `The body must be a JSON object with the version of a change, as GET /table/changes shows it: {"version": 1796060593020}.`)
	if ok {
		c.steer(func(ctx context.Context) error { return steering.RollBack(ctx, c.who(), body.Version) })
	}
}

// override holds a key or a plan to other limits for a time, or ends that.
func (c *call) override() {
	var body struct {
		Key     string     `json:"key"`
		Address string     `json:"address"`
		Plan    string     `json:"plan"`
		Policy  string     `json:"policy"`
		Factor  int        `json:"factor"`
		Until   *time.Time `json:"until"`
	}
	steering, ok := c.steering(&body, `The body must be a JSON object with a key, its hash, an address, a prefix of addresses or a plan, with a factor or a policy, and with an end: {"key": "customer-17", "factor": 10, "until": "2026-12-04T18:00:00Z"}. Without these, it ends an override: {"key": "customer-17"}.`)
	if !ok {
		return
	}
	key, detail := overridden(body.Key, body.Address)
	if detail != "" {
		c.problem(http.StatusBadRequest, detail)
		return
	}
	if key != "" {
		c.event.Key = key
		if !isHash(key) {
			c.event.Key = ratelimit.HashKey(key)
		}
	}
	if body.Until == nil && body.Policy == "" && body.Factor == 0 {
		c.steer(func(ctx context.Context) error { return steering.EndOverride(ctx, c.who(), key, body.Plan) })
		return
	}
	o := plans.Override{Key: key, Plan: body.Plan, Factor: body.Factor}
	if body.Until != nil {
		o.Until = *body.Until
	}
	c.steer(func(ctx context.Context) (err error) {
		if body.Policy != "" {
			if o.Policy, err = ratelimit.ParsePolicy(body.Policy); err != nil {
				return err
			}
		}
		return steering.Override(ctx, c.who(), o)
	})
}

const overrideAddress = `The address must be one of IPv4 or IPv6, such as "192.0.2.1" or "2001:db8::1", or a prefix, such as "203.0.113.0/24" or "2001:db8::/48", and no key must be beside it.`

// overridden returns the key of an override, as a table has it, or what is wrong with it.
func overridden(key, address string) (of, detail string) {
	if address != "" {
		p, err := netip.ParsePrefix(address)
		if err == nil && p.Masked() == p && key == "" {
			return address, ""
		}
		a, err := netip.ParseAddr(address)
		if err != nil || key != "" {
			return "", overrideAddress
		}
		return middleware.AddressKey(a), ""
	}
	if isHash(key) {
		return strings.TrimSpace(key), ""
	}
	if key = middleware.BucketKey(key); looksLikeAddress(key) {
		return "", ofAddress
	}
	return key, ""
}

// steering reads the body into v. If the table is not that of a fleet, or the body has another
// form, it responds and returns false.
func (c *call) steering(v any, form string) (s Steering, ok bool) {
	if s, ok = c.config.Fleet.(Steering); !ok {
		c.problem(http.StatusNotFound, "The table is that of this node alone: admin.Config.Fleet keeps no versions and overrides nothing.")
		return nil, false
	}
	body := c.body(MaxKeyBody, keyBodyTime)
	if body == nil {
		return nil, false
	}
	text, err := io.ReadAll(body)
	if err != nil {
		c.bodyFailed(err)
		return nil, false
	}
	c.bodyRead()
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(v); err != nil || in.Decode(new(any)) != io.EOF {
		c.problem(http.StatusBadRequest, form)
		return nil, false
	}
	return s, true
}

// steer changes the table of the fleet, and responds.
func (c *call) steer(change func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.r.Context()), fleetTime)
	defer cancel()
	err := guarded(func() error { return change(ctx) })
	if err == nil {
		c.event.ETag = etag(c.edited())
		c.w.Header().Set("ETag", c.event.ETag)
		c.begin(http.StatusNoContent, "")
		return
	}
	switch faults := faultsOf(err, c.edited()); {
	case errors.Is(err, plans.ErrNoVersion):
		c.problem(http.StatusNotFound, "There is no such version, or it is no longer kept; GET /table/changes lists those that are.")
	case errors.Is(err, plans.ErrChanged):
		c.problem(http.StatusConflict, "Others change the table all the time; try again.")
	case len(faults) > 0:
		c.answerProblem(problem{Status: http.StatusUnprocessableEntity, Detail: "This cannot be used; the table that is in force stays.", Errors: faults})
	case errors.As(err, new(*store.Error)), errors.Is(err, context.DeadlineExceeded):
		c.fleetFailed(err)
	default:
		c.problem(http.StatusInternalServerError, "The table of the fleet could not be changed.")
	}
}
