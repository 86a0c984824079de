package publish

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"eventgateway/internal/event"
)

// number is the number of a record of inARow.
func number(value []byte) string {
	n, _, _ := strings.Cut(string(value), " ")
	return n
}

func kindOf(t *testing.T, err error) event.Kind {
	t.Helper()
	var e *event.Error
	require.ErrorAs(t, err, &e)
	return e.Kind
}

// inARow returns records of one partition, each of which follows the one before.
func inARow(place event.Placement, n, size int) (list []event.Record, follows []int) {
	for i := range n {
		list = append(list, event.Record{
			Placement: place, Key: []byte("k"), Timestamp: time.Now(), Headers: []event.Header{{Name: "n", Value: fmt.Sprint(i)}},
			Value: fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", size)),
		})
		follows = append(follows, i-1)
	}
	return list, follows
}

// Nothing is written behind a record that is refused, however many requests are on the
// way; what was written is acknowledged.
func TestNothingIsWrittenBehindARefusal(t *testing.T) {
	t.Parallel()
	const tries, rows = 30, 150
	var topics []string
	for i := range tries {
		topics = append(topics, fmt.Sprint("t", i))
	}
	cluster := startKafka(t, kfake.SeedTopics(1, topics...))
	p := start(t, cluster.ListenAddrs(), topics)
	require.True(t, p.KeepsOrder())
	refused := 0
	for i, topic := range topics {
		_, err := p.publish(t, topic, "before")
		require.NoError(t, err)
		seen := 0 // the first, second or third request is refused
		fault := cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: kerr.InvalidRecord, Count: 1, When: func(kmsg.Request) bool {
			seen++
			return seen == 1+i/3%3
		}})
		// Small ones arrive while the rest is handed over; large ones fill several requests.
		list, follows := inARow(p.place(t, topic, nil), rows, 10+i%3*20_000)
		wait := p.PublishAll(t.Context(), list, follows)
		var acked []string
		for n := range list {
			if _, err := wait(n); err != nil {
				refused++
				continue
			}
			acked = append(acked, number(list[n].Value))
		}
		fault.Remove()
		at, err := p.publish(t, topic, "after")
		for err != nil { // the topic is written apart now
			at, err = p.publish(t, topic, "after")
		}
		var written []string
		for _, r := range records(t, cluster, topic, int(at.Offset)+1)[1:] {
			if string(r.Value) != "after" {
				written = append(written, number(r.Value))
			}
		}
		require.Equal(t, acked, written)
		for n, value := range written {
			require.Equal(t, fmt.Sprint(n), value, "a gap")
		}
	}
	require.Positive(t, refused)
}

// A record that its topic would not take keeps those back that follow it, and no others.
func TestWhatFollowsAnInadmissibleRecordIsHeldBack(t *testing.T) {
	t.Parallel()
	cluster := startKafka(t, kfake.SeedTopics(1, "t"))
	p := start(t, cluster.ListenAddrs(), []string{"t"})
	_, err := p.publish(t, "t", "before")
	require.NoError(t, err)
	list, follows := inARow(p.place(t, "t", nil), 4, 10)
	list[1].Value = make([]byte, 2<<20)
	follows[3] = -1
	wait := p.PublishAll(t.Context(), list, follows)
	var kinds []event.Kind
	for n := range list {
		if _, err := wait(n); err != nil {
			kinds = append(kinds, kindOf(t, err))
		} else {
			kinds = append(kinds, "")
		}
	}
	require.Equal(t, []event.Kind{"", event.EventTooLarge, event.HeldBack, ""}, kinds)
}
