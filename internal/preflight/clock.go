package preflight

import (
	"fmt"
	"time"
)

const (
	// clockUnnoticed is a difference below which nothing is reported: clocks kept by NTP
	// stay below it.
	clockUnnoticed = time.Second
	// clockMargin is how long before a claim's time reads of the log begin.
	clockMargin = 10 * time.Second
)

// RedisClock compares the gateway's clock with Redis'. Leases run by Redis'
// clock alone, so a steady difference is harmless; but one of the two is wrong, and
// correcting it makes it jump.
func RedisClock(f RedisFacts, needs RedisNeeds) []Finding {
	const check = "clock.redis"
	most := min(max(needs.ClockSlack, clockUnnoticed), clockMargin)
	var list []Finding
	for _, m := range f.Masters {
		if m.Ahead == nil {
			continue // its failure, or the missing permission, is reported elsewhere
		}
		apart, side := *m.Ahead, "ahead of"
		if apart < 0 {
			apart, side = -apart, "behind"
		}
		what := fmt.Sprintf("Redis' clock is %s %s this machine's, give or take %s", apart.Round(10*time.Microsecond), side, milliseconds(m.RoundTrip/2))
		const do = "let NTP keep the clocks of both machines; stop the gateways before a clock is set by more than a second"
		switch {
		case apart > most:
			list = append(list, Finding{
				Error, check, m.Address,
				what + fmt.Sprintf(": more than the %s that may be between them; if the wrong one is set right while gateways run, leases end early or reads of the log begin too late", most), do,
			})
		case apart > clockUnnoticed:
			list = append(list, Finding{Warning, check, m.Address, what + fmt.Sprintf("; up to %s is tolerated", most), do})
		default:
			list = append(list, Finding{OK, check, m.Address, what, ""})
		}
	}
	return list
}
