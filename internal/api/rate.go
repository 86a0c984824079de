package api

import (
	"math"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
	"eventgateway/internal/rate"
)

// Limiter says whether a client may make a call that costs n.
type Limiter interface {
	Take(client string, byToken bool, n int) rate.Decision
}

// The fields of draft-ietf-httpapi-ratelimit-headers-10, §3 and §4.
const (
	headerRateLimit       = "RateLimit"
	headerRateLimitPolicy = "RateLimit-Policy"
	ratePolicy            = `"client"` // the name of the only policy
)

// limit lets a call through if its client's rate allows one more, before the body is
// read.
func (a *access) limit(c *fiber.Ctx) error {
	if err := a.charge(c, 1); err != nil {
		return err
	}
	return c.Next()
}

// charge counts n against the caller's rate, and tells the caller what is left.
func (a *access) charge(c *fiber.Ctx, n int) error {
	if a.rates == nil || n <= 0 {
		return nil
	}
	caller := a.caller(c)
	d := a.rates.Take(caller.Name, caller.ByToken, n)
	if d.Limit.IsZero() {
		return nil
	}
	var room [64]byte
	h := &c.Response().Header
	h.SetBytesV(headerRateLimitPolicy, appendPolicy(room[:0], d.Limit))
	h.SetBytesV(headerRateLimit, appendState(room[:0], d))
	if d.Allowed {
		return nil
	}
	e := event.Refuse(event.RateLimited, "This client may make %d calls in %s, all gateways together; an event of a batch counts as one.", d.Limit.Count, spoken(d.Limit.Per))
	e.RetryAfter = d.RetryAfter
	return e
}

// appendPolicy is the quota and its window in seconds: `"client";q=500;w=1`.
func appendPolicy(to []byte, l rate.Limit) []byte {
	to = append(append(to, ratePolicy...), ";q="...)
	to = strconv.AppendInt(to, int64(l.Count), 10)
	return strconv.AppendInt(append(to, ";w="...), int64(l.Per/time.Second), 10)
}

// appendState is what is left, and in how many seconds there is more: `"client";r=3;t=1`.
func appendState(to []byte, d rate.Decision) []byte {
	to = append(append(to, ratePolicy...), ";r="...)
	to = strconv.AppendInt(to, int64(d.Remaining), 10)
	if d.More > 0 {
		to = strconv.AppendInt(append(to, ";t="...), int64(math.Ceil(d.More.Seconds())), 10)
	}
	return to
}

func spoken(per time.Duration) string {
	switch per {
	case time.Second:
		return "a second"
	case time.Minute:
		return "a minute"
	case time.Hour:
		return "an hour"
	}
	return per.String()
}
