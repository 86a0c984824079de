package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"eventgateway/internal/backoff"
)

// bench is a database with an outbox, and a gateway's configuration for it.
type bench struct {
	f     flags
	dir   string
	name  string // of the database
	topic string
	dsn   string
	conn  *pgx.Conn
}

const schemaFile = `{"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["orderId", "step"],
 "properties": {"orderId": {"type": "string"}, "step": {"type": "integer"}, "pad": {"type": "string"}}, "x-event": {"topic": %q, "key": "/orderId"}}`

func newBench(ctx context.Context, f flags) (*bench, error) {
	name := "bench_outbox_" + strconv.FormatInt(time.Now().Unix(), 36)
	b := &bench{f: f, name: name, topic: name, dsn: strings.Replace(f.server, "/postgres?", "/"+name+"?", 1)}
	var err error
	if b.dir, err = os.MkdirTemp("", "outbox-bench-"); err != nil {
		return nil, err
	}
	server, err := pgx.Connect(ctx, f.server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.Close(ctx) }()
	if _, err := server.Exec(ctx, `CREATE DATABASE `+name); err != nil {
		return nil, err
	}
	if b.conn, err = pgx.Connect(ctx, b.dsn); err != nil {
		return nil, err
	}
	schema, err := exec.CommandContext(ctx, f.gateway, "outbox", "schema", "--wal", "--role", name).Output()
	if err != nil {
		return nil, fmt.Errorf("print schema: %w", err)
	}
	if _, err := b.conn.PgConn().Exec(ctx, string(schema)+`; CREATE PUBLICATION bench FOR TABLE outbox WITH (publish = 'insert');`+triggersSQL).ReadAll(); err != nil {
		return nil, err
	}
	types := filepath.Join(b.dir, "schemas", "orders.step")
	if err := os.MkdirAll(types, 0o755); err != nil {
		return nil, err
	}
	return b, os.WriteFile(filepath.Join(types, "v1.json"), fmt.Appendf(nil, schemaFile, b.topic), 0o600)
}

const triggersSQL = `
CREATE TABLE t_empty (LIKE outbox INCLUDING ALL); CREATE TABLE t_doorbell (LIKE outbox INCLUDING ALL); CREATE TABLE t_notify (LIKE outbox INCLUDING ALL);
CREATE FUNCTION f_empty() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE FUNCTION f_notify() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_notify('bench', ''); RETURN NULL; END $$;
CREATE TRIGGER t AFTER INSERT ON t_empty FOR EACH STATEMENT EXECUTE FUNCTION f_empty();
CREATE TRIGGER t AFTER INSERT ON t_doorbell FOR EACH STATEMENT EXECUTE FUNCTION outbox_wake();
CREATE TRIGGER t AFTER INSERT ON t_notify FOR EACH STATEMENT EXECUTE FUNCTION f_notify();`

func (b *bench) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_ = b.conn.Close(ctx)
	_ = os.RemoveAll(b.dir)
	if server, err := pgx.Connect(ctx, b.f.server); err == nil {
		_, _ = server.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1 AND NOT active`, b.name)
		_, _ = server.Exec(ctx, `DROP DATABASE `+b.name+` WITH (FORCE)`)
		_, _ = server.Exec(ctx, `DROP ROLE `+b.name)
		_ = server.Close(ctx)
	}
}

func (b *bench) exec(ctx context.Context, sql string, args ...any) error {
	_, err := b.conn.Exec(ctx, sql, args...)
	return err
}

func (b *bench) insert(ctx context.Context, rows, entities int) error {
	return b.exec(ctx, `INSERT INTO outbox (aggregatetype, aggregateid, type, payload) SELECT 'orders', 'o-' || i % $2, 'orders.step',
		jsonb_build_object('orderId', 'o-' || i % $2, 'step', i, 'pad', repeat('x', 150)) FROM generate_series(1, $1::int) i`, rows, entities)
}

// relay is a `gateway outbox run`.
type relay struct {
	cmd   *exec.Cmd
	admin string
	lines *bufio.Scanner
}

func (b *bench) start(ctx context.Context, read string) (*relay, error) {
	file := filepath.Join(b.dir, read+".yaml")
	text := fmt.Sprintf(`auth: none
admin: { listen: "127.0.0.1:0" }
kafka: { brokers: [%q], create_topics: { enabled: true, partitions: 12, replication: 1 } }
redis: { addresses: [%q] }
schemas: { dir: %q }
outbox: [ { name: %s, dsn: %q, read: %s, slot: %s, publication: bench } ]
`, b.f.kafka, b.f.redis, filepath.Join(b.dir, "schemas"), b.name, b.dsn, read, b.name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	_, _ = exec.CommandContext(ctx, b.f.gateway, "idempotency", "rebuild", "-c", file, "--since", "0s").CombinedOutput() // refused if Redis knows better
	r := &relay{cmd: exec.CommandContext(ctx, b.f.gateway, "outbox", "run", "-c", file)}
	out, err := r.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	r.lines = bufio.NewScanner(out)
	for r.lines.Scan() {
		line := r.lines.Text()
		if _, rest, ok := strings.Cut(line, `"admin":"`); ok && r.admin == "" {
			r.admin, _, _ = strings.Cut(rest, `"`)
		}
		if strings.Contains(line, "relaying rows") {
			go func() {
				for r.lines.Scan() { // keep the pipe empty
				}
			}()
			return r, nil
		}
	}
	_ = r.cmd.Wait()
	return nil, errors.New("the relay ended before it was active")
}

// stop returns the CPU seconds and the peak memory in bytes.
func (r *relay) stop() (cpu float64, peak int64) {
	_ = r.cmd.Process.Signal(os.Interrupt)
	_ = r.cmd.Wait()
	usage, ok := r.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0, 0
	}
	return r.cmd.ProcessState.UserTime().Seconds() + r.cmd.ProcessState.SystemTime().Seconds(), usage.Maxrss << 10
}

// freshSlot makes a slot that has nothing to tell of earlier measurements.
func (b *bench) freshSlot(ctx context.Context, read string) error {
	if read != "wal" {
		return nil
	}
	if err := b.exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, b.name); err != nil {
		return err
	}
	r, err := b.start(ctx, read)
	if err != nil {
		return err
	}
	defer r.stop()
	noted := false
	backoff.Poll(ctx, 100*time.Millisecond, func() bool { // else the next relay reads the table first
		err = b.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outbox_relay, pg_replication_slots WHERE slot_name = $1 AND position >= confirmed_flush_lsn)`, b.name).Scan(&noted)
		return err != nil || noted
	})
	return err
}

type drained struct {
	rate, cpu float64
	peak      int64
}

// drain measures how fast rows leave the table that wait when the relay starts.
func (b *bench) drain(ctx context.Context, read string, rows, entities int) (drained, error) {
	if err := b.freshSlot(ctx, read); err != nil {
		return drained{}, err
	}
	if err := b.insert(ctx, rows, entities); err != nil {
		return drained{}, err
	}
	r, err := b.start(ctx, read)
	if err != nil {
		return drained{}, err
	}
	profiled := b.profile(ctx, r, read)
	begun := time.Now()
	var asked error
	empty := backoff.Poll(ctx, 10*time.Millisecond, func() bool {
		var some bool
		asked = b.conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outbox)`).Scan(&some)
		return asked != nil || !some
	})
	took := time.Since(begun)
	profiled()
	cpu, peak := r.stop()
	if asked == nil && !empty {
		asked = ctx.Err()
	}
	return drained{float64(rows) / took.Seconds(), cpu, peak}, asked
}

// delay inserts at a steady rate, each row in a transaction of its own, and reads the
// relay's histogram.
func (b *bench) delay(ctx context.Context, read string) (string, error) {
	if err := b.freshSlot(ctx, read); err != nil {
		return "", err
	}
	r, err := b.start(ctx, read)
	if err != nil {
		return "", err
	}
	defer r.stop()
	if _, err := b.steady(ctx, b.f.rate, time.Duration(b.f.seconds)*time.Second); err != nil {
		return "", err
	}
	backoff.Sleep(ctx, time.Second)
	return r.delays(ctx)
}

// delays reads the histogram of delays.
func (r *relay) delays(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+"/metrics", nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var names []string
	var counts []float64
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "gateway_outbox_delay_seconds_bucket{"); ok {
			_, rest, _ = strings.Cut(rest, `le="`)
			le, value, _ := strings.Cut(rest, `"} `)
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return "", err
			}
			names, counts = append(names, le), append(counts, n)
		}
	}
	if len(counts) == 0 || counts[len(counts)-1] == 0 {
		return "", errors.New("no row was relayed")
	}
	var text strings.Builder
	total := counts[len(counts)-1]
	for i, name := range names {
		if i > 0 && counts[i] == counts[i-1] {
			continue
		}
		fmt.Fprintf(&text, "%s s: %.2f %%  ", name, 100*counts[i]/total)
	}
	fmt.Fprintf(&text, "(%.0f rows)", total)
	return text.String(), nil
}

// write inserts rows until a time, one per interval, and counts them.
func (b *bench) write(ctx context.Context, until time.Time, table string, interval time.Duration, count *int) error {
	conn, err := pgx.Connect(ctx, b.dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	next := time.Now()
	for i := 0; time.Now().Before(until); i++ {
		if interval > 0 {
			next = next.Add(interval)
			backoff.SleepUntil(ctx, next)
		}
		order := "o-" + strconv.Itoa(i%1000)
		if _, err := conn.Exec(ctx, `INSERT INTO `+table+` (aggregatetype, aggregateid, type, payload) VALUES ('orders', $1, 'orders.step', jsonb_build_object('orderId', $1::text, 'step', 1))`, order); err != nil {
			return err
		}
		if count != nil {
			*count++
		}
	}
	return nil
}

// commits measures writers of a table with one kind of trigger.
func (b *bench) commits(ctx context.Context, kind string, span time.Duration) (float64, error) {
	var running sync.WaitGroup
	errs, counts := make([]error, b.f.writers), make([]int, b.f.writers)
	begun := time.Now()
	for w := range b.f.writers {
		running.Go(func() { errs[w] = b.write(ctx, begun.Add(span), "t_"+kind, 0, &counts[w]) })
	}
	running.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	return float64(total) / time.Since(begun).Seconds(), errors.Join(errs...)
}

// profile takes a CPU profile of a relay for a few seconds, if that is asked for, and one of
// what it has allocated. The function that it returns waits for them.
func (b *bench) profile(ctx context.Context, r *relay, name string) (wait func()) {
	if b.f.profile == "" {
		return func() {}
	}
	var taking sync.WaitGroup
	taking.Go(func() { b.take(ctx, r, name+"-cpu", "profile?seconds=5") })
	return func() {
		taking.Wait()
		b.take(ctx, r, name+"-allocs", "allocs")
	}
}

func (b *bench) take(ctx context.Context, r *relay, name, what string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.admin+"/debug/pprof/"+what, nil)
	if err != nil {
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	if text, err := io.ReadAll(resp.Body); err == nil {
		_ = os.WriteFile(filepath.Join(b.f.profile, name+".pprof"), text, 0o600)
	}
}
