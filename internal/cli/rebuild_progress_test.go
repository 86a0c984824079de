package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
	"eventgateway/internal/idempotency"
)

func TestRebuildProgress(t *testing.T) {
	t.Parallel()
	show := func(bar bool) string {
		var out bytes.Buffer
		p := newRebuildProgress(&out, bar)
		now := time.Unix(0, 0)
		p.now = func() time.Time { return now }
		p.see(idempotency.Tally{Waited: 1500 * time.Millisecond})
		for second := range int64(11) {
			now = now.Add(time.Second)
			topic := event.TopicReplay{Topic: "orders", Read: 100 * second, Total: 2000}
			if second == 5 {
				topic.Waiting = []string{"orders[3]: no leader"}
			}
			p.see(idempotency.Tally{Written: 90 * second, Topics: []event.TopicReplay{topic}})
		}
		p.end()
		return out.String()
	}
	const last = " 50 %  1000 of 2000 offsets, 0 of 1 topics, 900 keys written, 100/s, about 10s left"

	drawn := show(true)
	require.Equal(t, 12, strings.Count(drawn, "\r"))
	require.Equal(t, 5, strings.Count(drawn, "\n"), "one bar, and what waits on lines of its own: %q", drawn)
	require.True(t, strings.HasSuffix(drawn, "\r[############............] "+last+"\x1b[K\n"), "%q", drawn)
	require.Contains(t, drawn, "\nwaiting for: orders[3]: no leader\n")
	require.Contains(t, drawn, "\nwaiting for: nothing any more\n")

	lines := show(false)
	require.NotContains(t, lines, "\r")
	require.Equal(t, "waited 1.5 s: earlier attempts can no longer write", strings.Split(lines, "\n")[0])
	require.Contains(t, lines, "\n 20 %  400 of 2000 offsets")
	require.Less(t, strings.Count(lines, "\n"), 5, "%q", lines)
}
