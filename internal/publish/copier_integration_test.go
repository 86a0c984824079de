//go:build integration

package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/kafka"
	"eventgateway/test/services"
)

type copierTest struct {
	t              *testing.T
	cfg            Config
	records        *Records
	to, notes      string
	transactionals string
}

func newCopierTest(t *testing.T) *copierTest {
	t.Helper()
	brokers := []string{services.Shared(t).Kafka}
	c := &copierTest{t: t, cfg: Config{Brokers: brokers}, to: realTopic(t, brokers, 3), notes: realTopic(t, brokers, 1), transactionals: "copier-" + uuid.NewString()}
	var err error
	c.records, err = NewRecords(c.cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(c.records.Close)
	return c
}

func (c *copierTest) copier() *Copier {
	copier := NewCopier(c.cfg, c.transactionals, slog.New(slog.DiscardHandler))
	c.t.Cleanup(copier.Close)
	return copier
}

// values are the committed values of a topic.
func (c *copierTest) values(topic string) (values []string) {
	c.t.Helper()
	spans, err := c.records.Spans(c.t.Context(), time.Time{}, true, topic)
	require.NoError(c.t, err)
	for _, s := range spans[topic] {
		require.NoError(c.t, c.records.Read(c.t.Context(), s, func(r *kafka.Record) error {
			values = append(values, string(r.Value))
			return nil
		}))
	}
	return values
}

func (c *copierTest) copyOf(value string) []*kafka.Record {
	return []*kafka.Record{{Topic: c.to, Partition: -1, Key: []byte(value), Value: []byte(value)}}
}

// note tells where a copy is.
func (c *copierTest) note(copies []*kafka.Record) func() []*kafka.Record {
	return func() []*kafka.Record {
		notes := make([]*kafka.Record, len(copies))
		for i, r := range copies {
			notes[i] = &kafka.Record{Topic: c.notes, Value: fmt.Appendf(nil, "%s at %d/%d", r.Value, r.Partition, r.Offset)}
		}
		return notes
	}
}

func TestCopierWritesCopiesWithTheirNotes(t *testing.T) {
	t.Parallel()
	c := newCopierTest(t)
	copier := c.copier()
	require.NoError(t, copier.Begin(t.Context()))
	var want []string
	for i := range 5 {
		copies := c.copyOf(fmt.Sprint("v", i))
		require.NoError(t, copier.Commit(t.Context(), copies, c.note(copies)))
		require.Equal(t, partitionOf(copies[0].Key, 3), copies[0].Partition, "as Java chooses")
		want = append(want, fmt.Sprintf("v%d at %d/%d", i, copies[0].Partition, copies[0].Offset))
	}
	require.Equal(t, want, c.values(c.notes))
	require.Len(t, c.values(c.to), 5)

	fixed := c.copyOf("fixed")
	fixed[0].Partition = 2
	require.NoError(t, copier.Commit(t.Context(), fixed, c.note(fixed)))
	require.Equal(t, int32(2), fixed[0].Partition)

	require.NoError(t, copier.Commit(t.Context(), nil, func() []*kafka.Record { return []*kafka.Record{{Topic: c.notes, Value: []byte("note alone")}} }))
	require.Len(t, c.values(c.notes), 7)
}

// TestCopierIsTakenOver: after a second one with its id has begun, a Copier commits nothing more.
func TestCopierIsTakenOver(t *testing.T) {
	t.Parallel()
	c := newCopierTest(t)
	first, second := c.copier(), c.copier()
	require.NoError(t, first.Begin(t.Context()))
	one := c.copyOf("one")
	require.NoError(t, first.Commit(t.Context(), one, c.note(one)))
	require.NoError(t, second.Begin(t.Context()))
	late := c.copyOf("late")
	err := first.Commit(t.Context(), late, c.note(late))
	var taken *TakenOverError
	require.ErrorAs(t, err, &taken, "%v", err)
	two := c.copyOf("two")
	require.NoError(t, second.Commit(t.Context(), two, c.note(two)))
	require.ElementsMatch(t, []string{"one", "two"}, c.values(c.to))
	require.Len(t, c.values(c.notes), 2)
}

// TestCopierDies: what a process had open that was killed is aborted when the next begins.
func TestCopierDies(t *testing.T) {
	t.Parallel()
	c := newCopierTest(t)
	dying, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.TransactionalID(c.transactionals), kgo.TransactionTimeout(time.Minute))
	require.NoError(t, err)
	require.NoError(t, dying.BeginTransaction())
	require.NoError(t, dying.ProduceSync(t.Context(), &kgo.Record{Topic: c.to, Value: []byte("lost")}, &kgo.Record{Topic: c.notes, Value: []byte("lost")}).FirstErr())
	dying.Close() // without an end, as after a kill
	next := c.copier()
	require.NoError(t, next.Begin(t.Context()))
	require.Empty(t, c.values(c.to))
	require.Empty(t, c.values(c.notes))
	copies := c.copyOf("kept")
	require.NoError(t, next.Commit(t.Context(), copies, c.note(copies)))
	require.Equal(t, []string{"kept"}, c.values(c.to))
}

// TestCopierFails: of a transaction with a record that Kafka refuses, nothing stays, and the
// Copier goes on afterwards.
func TestCopierFails(t *testing.T) {
	t.Parallel()
	c := newCopierTest(t)
	copier := c.copier()
	require.NoError(t, copier.Begin(t.Context()))
	large := append(c.copyOf("small"), &kafka.Record{Topic: c.to, Partition: 0, Value: bytes.Repeat([]byte("x"), 2<<20)})
	err := copier.Commit(t.Context(), large, c.note(large))
	require.Error(t, err)
	require.True(t, Permanent(err), "%v", err)
	missing := []*kafka.Record{{Topic: "missing-" + uuid.NewString(), Partition: -1, Value: []byte("x")}}
	err = copier.Commit(t.Context(), missing, c.note(missing))
	require.True(t, Permanent(err), "%v", err)
	require.Empty(t, c.values(c.to))

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	copies := c.copyOf("late")
	err = copier.Commit(ended, copies, c.note(copies))
	require.Error(t, err)
	require.False(t, Permanent(err), "%v", err)

	copies = c.copyOf("next")
	require.NoError(t, copier.Commit(t.Context(), copies, c.note(copies)))
	require.Equal(t, []string{"next"}, c.values(c.to))
	require.Len(t, c.values(c.notes), 1)
}

// TestCopierWritesLargeRecords: as large as the topic takes, which the client's own limit is
// below.
func TestCopierWritesLargeRecords(t *testing.T) {
	t.Parallel()
	c := newCopierTest(t)
	size := "8388608"
	realAdmin(t, c.cfg.Brokers, func(ctx context.Context, admin *kadm.Client) error {
		_, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &size}}, c.to)
		return err
	})
	realAdmin(t, c.cfg.Brokers, func(ctx context.Context, admin *kadm.Client) error {
		for { // the controller answers before the broker knows
			all, err := admin.DescribeTopicConfigs(ctx, c.to)
			if err != nil || ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
			for _, s := range all[0].Configs {
				if s.Key == "max.message.bytes" && s.MaybeValue() == size {
					return nil
				}
			}
		}
	})
	copier := c.copier()
	copies := []*kafka.Record{{Topic: c.to, Partition: -1, Value: bytes.Repeat([]byte("x"), 4<<20)}}
	require.NoError(t, copier.Commit(t.Context(), copies, c.note(nil)), "it begins by itself")
	require.Len(t, c.values(c.to), 1)
}

// TestRecordsLeaveOutWhatIsDeleted: records that are deleted while a span is read are left
// out, and a topic that is missing has no spans.
func TestRecordsLeaveOutWhatIsDeleted(t *testing.T) {
	t.Parallel()
	c := newCopierTest(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.DefaultProduceTopic(c.notes))
	require.NoError(t, err)
	defer cl.Close()
	for i := range 10 {
		require.NoError(t, cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr())
	}
	spans, err := c.records.Spans(t.Context(), time.Time{}, false, c.notes, "missing-"+uuid.NewString())
	require.NoError(t, err)
	require.Len(t, spans, 1)
	require.Equal(t, []Span{{kafka.Partition{Topic: c.notes}, 0, 10}}, spans[c.notes])
	realAdmin(t, c.cfg.Brokers, func(ctx context.Context, admin *kadm.Client) error {
		var offsets kadm.Offsets
		offsets.AddOffset(c.notes, 0, 4, -1)
		_, err := admin.DeleteRecords(ctx, offsets)
		return err
	})
	var got []string
	require.NoError(t, c.records.Read(t.Context(), spans[c.notes][0], func(r *kafka.Record) error {
		got = append(got, string(r.Value))
		return nil
	}))
	require.Equal(t, []string{"4", "5", "6", "7", "8", "9"}, got)
	stop := errors.New("enough")
	require.ErrorIs(t, c.records.Read(t.Context(), Span{kafka.Partition{Topic: c.notes}, 5, 10}, func(*kafka.Record) error { return stop }), stop)
	later, err := c.records.Spans(t.Context(), time.Now().Add(time.Hour), false, c.notes)
	require.NoError(t, err)
	require.Empty(t, later[c.notes])
}
