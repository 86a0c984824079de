package api

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/backoff"
	"eventgateway/internal/event"
	"eventgateway/internal/rate"
)

// Limiter says whether a client may make a call.
type Limiter interface {
	Take(client string, byToken bool, n int) rate.Decision
	// TakeRead is Take for a call that only reads.
	TakeRead(client string, byToken bool) rate.Decision
	// Reserve is Take for a batch of n events, some of which are paid already. It may be
	// larger than the burst, and then has to wait.
	Reserve(client string, byToken bool, n, paid int) rate.Decision
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
	if a.rates == nil {
		return c.Next()
	}
	caller := a.caller(c)
	d := a.rates.Take(caller.Name, caller.ByToken, 1)
	showRate(c, d)
	if !d.Allowed {
		return tooOften(d)
	}
	return c.Next()
}

// limitReads lets a call that only reads through if its client's rate allows one more.
func (a *access) limitReads(c *fiber.Ctx) error {
	if a.rates == nil {
		return c.Next()
	}
	caller := a.caller(c)
	if d := a.rates.TakeRead(caller.Name, caller.ByToken); !d.Allowed {
		return refuseOften(d, "This client may read %d times in %s, all gateways together.")
	}
	return c.Next()
}

// chargeBatch charges a batch of n events before they are taken. The first is paid:
// limit has charged it. A batch that is larger than the burst waits for its calls.
func (a *access) chargeBatch(c *fiber.Ctx, n int) error {
	if a.rates == nil || n <= 1 {
		return nil
	}
	caller := a.caller(c)
	d := a.rates.Reserve(caller.Name, caller.ByToken, n, 1)
	showRate(c, d)
	switch {
	case d.Allowed && d.Wait > 0 && !backoff.Sleep(a.serving, d.Wait):
		return event.Refuse(event.Overloaded, "The gateway is stopping while the batch waits for this client's rate.")
	case d.Allowed:
		return nil
	case d.RetryAfter == 0:
		return event.Refuse(event.EventTooLarge, "This client may make %d calls in %s, and each event of a batch counts as one: at this rate a batch may have at most %d events, and this one has %d. Send smaller batches.",
			d.Limit.Count, spoken(d.Limit.Per), d.Limit.Largest(), n)
	}
	return tooOften(d)
}

// showRate tells the caller what is left of its rate.
func showRate(c *fiber.Ctx, d rate.Decision) {
	if d.Limit.IsZero() {
		return
	}
	var room [64]byte
	h := &c.Response().Header
	h.SetBytesV(headerRateLimitPolicy, appendPolicy(room[:0], d.Limit))
	h.SetBytesV(headerRateLimit, appendState(room[:0], d))
}

func tooOften(d rate.Decision) error {
	return refuseOften(d, "This client may make %d calls in %s, all gateways together; an event of a batch counts as one.")
}

func refuseOften(d rate.Decision, format string) error {
	e := event.Refuse(event.RateLimited, format, d.Limit.Count, spoken(d.Limit.Per))
	e.RetryAfter = d.RetryAfter
	return e
}

// limitStrangers limits the calls of each address to routes that do not ask who calls.
func (a *access) limitStrangers(c *fiber.Ctx) error {
	if err := a.stranger(c); err != nil {
		a.refused(c, "", string(event.RateLimited), errStrangerRate)
		return err
	}
	return c.Next()
}

// What the operator reads: behind a proxy that is not trusted, all callers are one address.
var (
	errStrangerRate = errors.New("calls without credentials from this address exceed http.rates.strangers; if it is a proxy, add it to http.trusted_proxies")
	errWebhookRate  = errors.New("deliveries from this address exceed http.rates.webhooks; if it is a proxy, add it to http.trusted_proxies")
)

// stranger charges a call that nobody has answered for to its address.
func (a *access) stranger(c *fiber.Ctx) error {
	return a.ofAddress(c, a.strangers, "")
}

// limitWebhooks limits the deliveries of each address to each source, before the body is
// read: to verify one costs more than to refuse it. Deliveries to sources that do not exist
// count as calls of strangers.
func (a *access) limitWebhooks(sources map[string]Webhook) fiber.Handler {
	return func(c *fiber.Ctx) error {
		name := c.Params("source")
		if _, ok := sources[name]; !ok {
			return a.limitStrangers(c)
		}
		if err := a.ofAddress(c, a.deliveries, name); err != nil {
			a.refused(c, "", string(event.RateLimited), errWebhookRate)
			return err
		}
		return c.Next()
	}
}

func (a *access) ofAddress(c *fiber.Ctx, limits *rate.Addresses, purpose string) error {
	if limits == nil {
		return nil
	}
	if d := limits.Take(a.addresses.address(c), purpose); !d.Allowed {
		return refuseOften(d, "Calls like this one may come %d times in %s from one address.")
	}
	return nil
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
