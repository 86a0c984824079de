package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/twmb/franz-go/pkg/kgo"
)

// floor drains the rows with nothing but pgoutput and a producer, and returns rows per
// second. The rows are deleted afterwards, which is not measured.
func (b *bench) floor(ctx context.Context) (float64, error) {
	repl, err := pgconn.Connect(ctx, b.dsn+"&replication=database")
	if err != nil {
		return 0, err
	}
	defer func() { _ = repl.Close(context.WithoutCancel(ctx)) }()
	if _, err := pglogrepl.CreateReplicationSlot(ctx, repl, "bench_floor", "pgoutput", pglogrepl.CreateReplicationSlotOptions{Temporary: true, Mode: pglogrepl.LogicalReplication}); err != nil {
		return 0, err
	}
	if err := b.insert(ctx, b.f.rows, 1000); err != nil {
		return 0, err
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(b.f.kafka), kgo.DefaultProduceTopic(b.topic), kgo.RequiredAcks(kgo.AllISRAcks()))
	if err != nil {
		return 0, err
	}
	defer producer.Close()
	begun := time.Now()
	if err := pglogrepl.StartReplication(ctx, repl, "bench_floor", 0, pglogrepl.StartReplicationOptions{PluginArgs: []string{"proto_version '1'", "publication_names 'bench'"}}); err != nil {
		return 0, err
	}
	var failed atomic.Pointer[error]
	for n := 0; n < b.f.rows; {
		m, err := repl.ReceiveMessage(ctx)
		if err != nil {
			return 0, err
		}
		data, ok := m.(*pgproto3.CopyData)
		if !ok || data.Data[0] != pglogrepl.XLogDataByteID {
			continue
		}
		x, err := pglogrepl.ParseXLogData(data.Data[1:])
		if err != nil {
			return 0, err
		}
		parsed, err := pglogrepl.Parse(x.WALData)
		if err != nil {
			return 0, err
		}
		if insert, ok := parsed.(*pglogrepl.InsertMessage); ok {
			n++
			columns := insert.Tuple.Columns // seq, id, aggregatetype, aggregateid, type, payload, …
			producer.Produce(ctx, &kgo.Record{Key: columns[3].Data, Value: columns[5].Data}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Store(&err)
				}
			})
		}
	}
	if err := producer.Flush(ctx); err != nil {
		return 0, err
	}
	rate := float64(b.f.rows) / time.Since(begun).Seconds()
	if err := failed.Load(); err != nil {
		return 0, fmt.Errorf("produce: %w", *err)
	}
	return rate, b.exec(ctx, `TRUNCATE outbox`)
}
