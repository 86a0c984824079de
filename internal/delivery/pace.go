package delivery

import "time"

const (
	// paceFactor times the rate before an outage is the rate after it: with what may begin at
	// once, less than twice as many attempts in any second.
	paceFactor = 1.9
	// paceDoubles is how long until that doubles: what waits must not wait forever. What an
	// outage of a minute leaves behind is delivered before.
	paceDoubles = 3 * time.Minute
	// paceFailing is the number of successes for each failure below which the rate is not
	// measured.
	paceFailing = 4
	// paceMemory is how much of the rate is that of earlier samples: about the last ten count.
	paceMemory = 0.9
	// paceSample is how long successes are counted for one measurement of the rate.
	paceSample = time.Second
)

// pace bounds how fast events that waited during an outage are sent after it, because an
// endpoint that has just come back would go down again. Until then it measures the rate.
type pace struct {
	least   float64 // attempts per second that are always allowed
	rate    float64 // successes per second, smoothed
	known   bool    // it was measured
	counted int
	failed  int // attempts, in the same time
	since   time.Time
	limit   float64   // attempts per second; 0: none
	raise   time.Time // when limit doubles; zero while the outage lasts
	next    time.Time // when the next attempt may begin
}

// delivered counts a success.
func (p *pace) delivered(now time.Time) {
	p.counted++
	if p.since.IsZero() {
		p.since = now
	}
}

// measure brings the rate up to date, but not while it is bounded.
func (p *pace) measure(now time.Time) {
	took := now.Sub(p.since)
	if p.since.IsZero() || took < paceSample {
		return
	}
	// While much fails, the rate is that of an endpoint that falls ill.
	if p.limit == 0 && paceFailing*p.failed <= p.counted {
		now := float64(p.counted) / took.Seconds()
		if p.known {
			now = paceMemory*p.rate + (1-paceMemory)*now
		}
		p.rate, p.known = now, true
	}
	p.counted, p.failed, p.since = 0, 0, now
}

// begin bounds the rate, after an outage. A gateway that has just begun has no rate to
// compare with.
func (p *pace) begin(now time.Time) {
	if p.limit == 0 && p.known {
		p.limit, p.next = max(paceFactor*p.rate, p.least), now
	}
	p.raise = time.Time{}
}

// resume begins the time after which the bound doubles: the outage is over.
func (p *pace) resume(now time.Time) { p.raise = now.Add(paceDoubles) }

// giveBack takes back what wait let begin.
func (p *pace) giveBack() {
	if p.limit > 0 {
		p.next = p.next.Add(-time.Duration(float64(time.Second) / p.limit))
	}
}

// end lifts the bound: nothing waits any more.
func (p *pace) end() { p.limit = 0 }

// wait is how long the next attempt has to wait; 0 lets it begin, and counts it.
func (p *pace) wait(now time.Time) time.Duration {
	if p.limit == 0 {
		return 0
	}
	if !p.raise.IsZero() && now.After(p.raise) {
		p.limit, p.raise = 2*p.limit, now.Add(paceDoubles)
	}
	if p.next.After(now) {
		return p.next.Sub(now)
	}
	const burst = 50 * time.Millisecond // of attempts may begin at once
	if p.next.Before(now.Add(-burst)) {
		p.next = now.Add(-burst)
	}
	p.next = p.next.Add(time.Duration(float64(time.Second) / p.limit))
	return 0
}
