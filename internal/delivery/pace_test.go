package delivery

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPaceAfterAnOutage(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	p := pace{least: 10}
	for range 20 { // 100 events per second
		for range 100 {
			require.Zero(t, p.wait(now))
			p.delivered(now)
			now = now.Add(10 * time.Millisecond)
		}
		p.measure(now)
	}
	require.InDelta(t, 100, p.rate, 5)
	for range 10 { // a third fails, which takes long
		p.delivered(now)
		p.delivered(now)
		p.failed++
		now = now.Add(paceSample)
		p.measure(now)
	}
	require.InDelta(t, 100, p.rate, 5, "a sick endpoint's rate")
	p.begin(now)
	now = now.Add(2 * paceDoubles) // an outage
	p.wait(now)
	require.InDelta(t, 190, p.limit, 10, "the bound does not double while it lasts")
	p.resume(now)
	begun := 0
	for range 10_000 { // ten seconds of trying each millisecond
		if p.wait(now) == 0 {
			begun++
			p.delivered(now)
		}
		now = now.Add(time.Millisecond)
		p.measure(now)
	}
	require.InDelta(t, 1900, begun, 100, "less than twice the rate before")
	require.InDelta(t, 100, p.rate, 5, "which is not measured meanwhile")
	now = now.Add(paceDoubles)
	p.wait(now)
	require.InDelta(t, 380, p.limit, 20)
	p.begin(now)
	now = now.Add(2 * paceDoubles)
	p.wait(now)
	require.InDelta(t, 380, p.limit, 20, "nor in the next outage before it is lifted")
	p.end()
	for range 100 {
		require.Zero(t, p.wait(now))
	}
	fresh := pace{least: 10}
	fresh.begin(now)
	require.Zero(t, fresh.limit, "a gateway that has just begun")
	idle := pace{least: 10, known: true}
	idle.begin(now)
	require.InDelta(t, 10, idle.limit, 0.1, "an endpoint that had no events before")
}
