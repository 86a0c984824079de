package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"

	"eventgateway/internal/backoff"
)

// steady inserts at a steady rate for a while.
func (b *bench) steady(ctx context.Context, rate int, span time.Duration) (rows int, err error) {
	const writers = 8
	var running sync.WaitGroup
	errs, counts := make([]error, writers), make([]int, writers)
	until := time.Now().Add(span)
	for w := range writers {
		running.Go(func() {
			errs[w] = b.write(ctx, until, "outbox", writers*time.Second/time.Duration(rate), &counts[w])
		})
	}
	running.Wait()
	for _, n := range counts {
		rows += n
	}
	return rows, errors.Join(errs...)
}

// waiting counts the rows in the table.
func (b *bench) waiting(ctx context.Context) (n int, err error) {
	err = b.conn.QueryRow(ctx, `SELECT count(*) FROM outbox`).Scan(&n)
	return n, err
}

// horizon measures the relay beside a transaction that inserts a row and stays open, so that
// nothing that is deleted meanwhile can be removed.
func (b *bench) horizon(ctx context.Context, read string) (string, error) {
	const rate = 800
	if err := b.freshSlot(ctx, read); err != nil {
		return "", err
	}
	r, err := b.start(ctx, read)
	if err != nil {
		return "", err
	}
	defer r.stop()
	holder, err := pgx.Connect(ctx, b.dsn)
	if err != nil {
		return "", err
	}
	defer func() { _ = holder.Close(context.WithoutCancel(ctx)) }()
	tx, err := holder.Begin(ctx)
	if err != nil {
		return "", err
	}
	var seq int64
	if err := tx.QueryRow(ctx, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('orders', 'o-0', 'orders.step', '{"orderId": "o-0", "step": 1}') RETURNING seq`).Scan(&seq); err != nil {
		return "", err
	}
	begun := time.Now()
	rows, err := b.steady(ctx, rate, time.Duration(b.f.hold)*time.Second)
	if err != nil {
		return "", err
	}
	took := time.Since(begun)
	left, err := b.waiting(ctx)
	if err != nil {
		return "", err
	}
	if err := tx.Commit(ctx); err != nil {
		return "", err
	}
	committed := time.Now()
	backoff.Poll(ctx, 10*time.Millisecond, func() (gone bool) {
		err = b.conn.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM outbox WHERE seq = $1)`, seq).Scan(&gone)
		return err != nil || gone
	})
	own := time.Since(committed)
	return fmt.Sprintf("%d rows in %.0f s, %.0f relayed/s (%.2f of %d/s), %d waited at the end; the transaction's own row after %.2f s",
		rows, took.Seconds(), float64(rows-left)/took.Seconds(), float64(rows-left)/took.Seconds()/rate, rate, left, own.Seconds()), err
}

// redis measures what claims take in Redis, which keeps those of the rows of two minutes.
func (b *bench) redisMemory(ctx context.Context, read string) (string, error) {
	const rate, fence = 2000, 120
	if err := b.freshSlot(ctx, read); err != nil {
		return "", err
	}
	rdb := goredis.NewClient(&goredis.Options{Addr: b.f.redis})
	defer func() { _ = rdb.Close() }()
	if err := rdb.FlushAll(ctx).Err(); err != nil {
		return "", err
	}
	r, err := b.start(ctx, read)
	if err != nil {
		return "", err
	}
	before, err := usedMemory(ctx, rdb)
	if err != nil {
		return "", err
	}
	span := min(b.f.hold, fence-20) // before the first of them expire
	rows, err := b.steady(ctx, rate, time.Duration(span)*time.Second)
	if err != nil {
		return "", err
	}
	backoff.Sleep(ctx, 2*time.Second)
	after, err := usedMemory(ctx, rdb)
	if err != nil {
		return "", err
	}
	keys, err := rdb.DBSize(ctx).Result()
	_, peak := r.stop()
	each := float64(after-before) / float64(rows)
	return fmt.Sprintf("%d rows in %d s: %d keys, %.1f MB, %.0f bytes a row; %d rows/s for %d s are %.0f MB; the gateway's peak memory %d MB",
		rows, span, keys, float64(after-before)/(1<<20), each, rate, fence, each*rate*fence/(1<<20), peak>>20), err
}

func usedMemory(ctx context.Context, rdb *goredis.Client) (n int64, err error) {
	text, err := rdb.Info(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(text, "used_memory:")
	if !ok {
		return 0, errors.New("redis does not say how much memory it uses")
	}
	_, err = fmt.Sscan(rest, &n)
	return n, err
}
