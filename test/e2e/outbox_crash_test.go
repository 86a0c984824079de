//go:build integration

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/backoff"
)

// TestOutboxUnderFaults: relays are killed, Redis is flushed, Kafka restarted, the slot
// dropped, while writers commit and roll back. Everything that was committed is in the
// topic once, in order. OUTBOX_TRANSACTIONS, OUTBOX_KILLS and OUTBOX_SEED make it longer.
func TestOutboxUnderFaults(t *testing.T) {
	t.Parallel()
	for _, read := range []string{"poll", "wal"} {
		t.Run(read, func(t *testing.T) { relaysUnderFaults(t, read) }) // not parallel: they restart one Kafka
	}
}

func fromEnv(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

// relayProcess is a `gateway outbox run` that a test kills and starts again.
type relayProcess struct {
	*process
	file string
}

func startRelay(t *testing.T, file string) *relayProcess {
	t.Helper()
	binary, err := suite.plain()
	require.NoError(t, err)
	return &relayProcess{launch(t, suite.dir, binary, "outbox", "run", "-c", file), file}
}

func relaysUnderFaults(t *testing.T, read string) {
	transactions, kills := fromEnv("OUTBOX_TRANSACTIONS", 12_000), fromEnv("OUTBOX_KILLS", 8)
	random := rand.New(rand.NewPCG(uint64(fromEnv("OUTBOX_SEED", 20)), 0))
	kafka, redis := privateKafka(t), privateRedis(t)
	s := newShop(t, read, nil)
	s.topic = unique("faults")
	s.kafka = kafka.Addr()
	createTopic(t, s.kafka, s.topic, 6)
	s.o.kafka, s.o.redis = s.kafka, []string{redis.Addr()}
	s.o.schemas = schemasFolder(t, eventType{name: "orders.step", xevent: map[string]any{"topic": s.topic}, schema: stepSchema})
	file := writeConfig(t, s.o.config(t))
	declareNew(t, file)
	relays := []*relayProcess{startRelay(t, file), startRelay(t, file)}

	var committed steps
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		committed, failed = s.writeAll("f", 8, 125, transactions)
	}()
	for k := range kills {
		backoff.Sleep(t.Context(), time.Duration(300+random.IntN(2500))*time.Millisecond)
		one := random.IntN(2)
		relays[one].signal(t, syscall.SIGKILL)
		<-relays[one].done
		switch k {
		case kills / 4, 3 * kills / 4:
			t.Log("kafka restarts")
			require.NoError(t, kafka.Kill())
			require.NoError(t, kafka.Restart(t.Context()))
		case kills / 2:
			t.Log("redis is flushed")
			flushRedis(t, redis.Addr())
			if read == "wal" {
				t.Log("the slot is dropped")
				dropSlot(t, s)
			}
		}
		relays[one] = startRelay(t, file)
	}
	<-done
	require.NoError(t, failed)
	s.requireRelayed(t, committed)
	for _, r := range relays {
		r.signal(t, syscall.SIGTERM)
		require.Zero(t, r.waitExit(t, patient))
	}
}

func flushRedis(t *testing.T, addr string) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: addr})
	defer func() { _ = client.Close() }()
	require.NoError(t, client.FlushAll(t.Context()).Err())
}

// dropSlot drops the slot of a shop, whoever uses it.
func dropSlot(t *testing.T, s *shop) {
	t.Helper()
	conn := dial(t, s.dsn)
	defer func() { _ = conn.Close(context.Background()) }()
	eventually(t, patient, "slot is dropped", func() error {
		_, _ = conn.Exec(t.Context(), `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database() AND active`)
		rows, err := conn.Query(t.Context(), `SELECT pg_drop_replication_slot(slot_name)::text FROM pg_replication_slots WHERE database = current_database()`)
		if err != nil {
			return err
		}
		dropped, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err == nil && len(dropped) == 0 {
			err = fmt.Errorf("there is none")
		}
		return err
	})
}
