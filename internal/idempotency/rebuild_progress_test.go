package idempotency

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		topics []event.TopicReplay
		want   Progress
	}{
		{"nothing yet", nil, Progress{}},
		{
			"a topic that waits has no total",
			[]event.TopicReplay{{Topic: "a", Read: 100, Total: 400}, {Topic: "b", Waiting: []string{"b: no leader"}}},
			Progress{Read: 100, Total: 400, Topics: 2, Waiting: []string{"b: no leader"}, Rate: 10},
		},
		{
			"an empty topic is done",
			[]event.TopicReplay{{Topic: "a", Read: 100, Total: 400}, {Topic: "b", Done: true}},
			Progress{Read: 100, Total: 400, Topics: 2, Done: 1, Rate: 10, Left: 30 * time.Second},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tally := Tally{Topics: tt.topics}
			require.Equal(t, tt.want, tally.Progress(10*time.Second))
		})
	}
}

func TestProgressIsLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	lines := progressLog{logger: slog.New(slog.NewTextHandler(&log, nil))}
	tally := Tally{Topics: []event.TopicReplay{{Topic: "a", Read: 150, Total: 300}}}
	begun := time.Now()
	lines.see(t.Context(), Tally{}, begun.Add(-time.Hour)) // nothing is read yet
	for second := range 31 {
		lines.see(t.Context(), tally, begun.Add(time.Duration(second)*time.Second))
	}
	require.Equal(t, 2, strings.Count(log.String(), "rebuilding the idempotency store"))
	require.Contains(t, log.String(), "offsets_per_second=10 seconds_left=15")
}
