package delivery

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// expires lets Kafka keep the topic for an hour, and writes events to it that are 58 minutes old,
// and one that is new.
func (w *world) expires() {
	w.t.Helper()
	hour := "3600000"
	done, err := kadm.NewClient(w.client).AlterTopicConfigs(w.t.Context(), []kadm.AlterConfig{{Name: "retention.ms", Value: &hour}}, "orders")
	require.NoError(w.t, err)
	require.NoError(w.t, done[0].Err)
	var records []*kgo.Record
	for i := range 20 {
		r := record("k"+strconv.Itoa(i%4), `{"n":`+strconv.Itoa(i)+`}`)
		r.Timestamp = time.Now().Add(-58 * time.Minute)
		records = append(records, r)
	}
	w.write(append(records, record("new", `{}`))...)
}

// on_expiring: dead-letter keeps what an endpoint that is away has not taken.
func TestExpiringEventsBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.answers(func(call) int { return http.StatusNotFound })
	w.expires()
	w.start(w.config(func(c *Config) {
		c.OnExpiring = ExpiringDeadLetter
		c.Retry = Retry{Attempts: 100, Initial: time.Second, Max: time.Hour}
	}))
	w.eventually("the old ones are dead", func() bool { return w.committed(0).base == 20 })
	require.Len(t, w.dead(), 20)
	last := map[string]int{}
	for _, letter := range w.dead() {
		require.Equal(t, whyExpiring, headerOf(letter, deadWhy))
		offset, err := strconv.Atoi(headerOf(letter, deadOffset))
		require.NoError(t, err)
		before, ok := last[string(letter.Key)]
		require.True(t, !ok || before < offset, "in order per entity")
		last[string(letter.Key)] = offset
	}
	w.answers(func(call) int { return http.StatusOK })
	w.eventually("the new one is delivered", func() bool { return w.committed(0).base == 21 })
	require.Len(t, w.dead(), 20)
}

// By default they wait.
func TestExpiringEventsWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	w.expires()
	w.start(w.config())
	w.eventually("all are delivered", func() bool { return w.committed(0).base == 21 })
	require.Empty(t, w.dead())
}
