package idempotency

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestUnchanged(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		change func(*facts, *lastSeen)
		want   bool
	}{
		"another id, and all else as before": {func(*facts, *lastSeen) {}, true},
		"another process":                    {func(f *facts, _ *lastSeen) { f.server.run = "run2" }, false},
		"a process that is not shown":        {func(f *facts, _ *lastSeen) { f.server.run, f.marker = noRunID, "7 id1 - -" }, false},
		"it was a replica":                   {func(f *facts, _ *lastSeen) { f.server.former = "id0" }, false},
		"another generation":                 {func(f *facts, _ *lastSeen) { f.marker = "6 id1 run1 -" }, false},
		"another node":                       {func(f *facts, _ *lastSeen) { f.server.stream = "node2" }, false},
		"it is being rebuilt":                {func(f *facts, _ *lastSeen) { f.lock = "token id1" }, false},
		"the old id was seen too long ago":   {func(_ *facts, s *lastSeen) { s.at = now.Add(-seenLately) }, false},
		"the old id was never seen":          {func(_ *facts, s *lastSeen) { *s = lastSeen{} }, false},
		"a third id was seen":                {func(_ *facts, s *lastSeen) { s.replid = "id0" }, false},
		"a marker of the former format":      {func(f *facts, _ *lastSeen) { f.marker = "id1" }, false},
		"no marker":                          {func(f *facts, _ *lastSeen) { f.marker = "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := facts{marker: "7 id1 run1 -", server: identity{replid: "id2", run: "run1", stream: "-"}}
			seen := lastSeen{"id1", now.Add(-seenLately + time.Second)}
			c.change(&f, &seen)
			require.Equal(t, c.want, f.unchanged(7, seen, now))
		})
	}
}

func TestMissingSince(t *testing.T) {
	t.Parallel()
	clock := time.UnixMilli(1_700_000_000_000)
	beatAt := func(number int, at time.Time, stream string) string {
		return fmt.Sprintf("%d %d %d id1 %s", number, at.UnixMilli(), at.UnixMilli(), stream)
	}
	raised := map[uint64]event.Generation{8: {Number: 8, Raised: clock.Add(-time.Hour)}, 9: {Number: 9, Raised: clock.Add(time.Hour)}}
	next := func(n uint64) (event.Generation, bool) { g, ok := raised[n+1]; return g, ok }
	promoted := identity{replid: "id2", former: "id1", run: "run2", stream: "-"}
	for name, c := range map[string]struct {
		of, other facts // of the bucket, and of one on another server or the same
		newest    uint64
		want      time.Time // zero: anything may be missing
	}{
		"since the beat":                   {facts{marker: "7 id1 run1 -", beat: beatAt(5, clock, "-"), server: promoted}, facts{}, 7, clock},
		"the newest beat":                  {facts{marker: "7 id1 run1 -", beat: beatAt(5, clock, "-"), server: promoted}, facts{beat: beatAt(6, clock.Add(time.Second), "-"), server: promoted}, 7, clock.Add(time.Second)},
		"not the beat of another server":   {facts{marker: "7 id1 run1 -", beat: beatAt(5, clock, "-"), server: promoted}, facts{beat: beatAt(6, clock.Add(time.Second), "-"), server: identity{replid: "id3", stream: "-"}}, 7, clock},
		"no marker":                        {facts{beat: beatAt(5, clock, "-"), server: promoted}, facts{}, 7, time.Time{}},
		"no beat":                          {facts{marker: "7 id1 run1 -", server: promoted}, facts{}, 7, time.Time{}},
		"a marker of the former format":    {facts{marker: "id1", beat: beatAt(5, clock, "-"), server: promoted}, facts{}, 7, time.Time{}},
		"a marker without a generation":    {facts{marker: "0 id1 run1 -", beat: beatAt(5, clock, "-"), server: promoted}, facts{}, 7, time.Time{}},
		"superseded before the beat":       {facts{marker: "7 id1 run1 -", beat: beatAt(5, clock, "-"), server: promoted}, facts{}, 8, clock.Add(-time.Hour)},
		"superseded after the beat":        {facts{marker: "8 id1 run1 -", beat: beatAt(5, clock, "-"), server: promoted}, facts{}, 9, clock},
		"superseded, and not known when":   {facts{marker: "3 id1 run1 -", beat: beatAt(5, clock, "-"), server: promoted}, facts{}, 8, time.Time{}},
		"a failover within a Cluster":      {facts{marker: "7 id1 run1 node1", beat: beatAt(5, clock, "node1"), server: identity{replid: "id2", former: "id1", run: "run2", stream: "node2"}}, facts{}, 7, clock},
		"a slot that was moved":            {facts{marker: "7 id1 run1 node1", beat: beatAt(5, clock, "node1"), server: identity{replid: "id2", run: "run2", stream: "node2"}}, facts{}, 7, time.Time{}},
		"a beat of the slot's former node": {facts{marker: "7 id1 run1 node2", beat: beatAt(5, clock, "node1"), server: identity{replid: "id2", run: "run2", stream: "node2"}}, facts{}, 7, time.Time{}},
		"a newer generation than is known": {facts{marker: "9 id1 run1 -", beat: beatAt(5, clock, "-"), server: promoted}, facts{}, 8, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			since, ok := snapshot{1: c.of, 2: c.other}.missingSince(1, c.newest, next)
			require.Equal(t, !c.want.IsZero(), ok)
			if ok {
				require.Equal(t, c.want.Add(-clockDifference), since)
			}
		})
	}
}
