//go:build integration

package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// pooler starts a PgBouncer in transaction mode in front of a database.
func pooler(t *testing.T, dsn string) (pooled string) {
	t.Helper()
	program := os.Getenv("GATEWAY_TEST_PGBOUNCER")
	if program == "" {
		t.Skip("NOT TESTED: no PgBouncer; set GATEWAY_TEST_PGBOUNCER to its path")
	}
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	port, err := services.FreePort()
	require.NoError(t, err)
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755)) // it refuses to run as root
	}
	users := filepath.Join(dir, "users")
	require.NoError(t, os.WriteFile(users, fmt.Appendf(nil, "%q \"\"\n", u.User.Username()), 0o644))
	file := filepath.Join(dir, "pgbouncer.ini")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s
pool_mode = transaction
default_pool_size = 5
`, u.Hostname(), u.Port(), port, users), 0o644))
	p := launch(t, dir, program, "-u", "postgres", file)
	u.Host = fmt.Sprintf("127.0.0.1:%d", port)
	u.RawQuery = "sslmode=disable"
	eventually(t, patient, "pooler answers", func() error {
		conn, err := pgx.Connect(t.Context(), u.String())
		if err != nil {
			return fmt.Errorf("%w\n%s", err, p.log.String())
		}
		return conn.Close(t.Context())
	})
	return u.String()
}

// TestOutboxBehindAPooler: queries go through PgBouncer in transaction mode, the lock,
// notifications and replication past it. A relay is killed in the middle.
func TestOutboxBehindAPooler(t *testing.T) {
	bothReaders(t, func(t *testing.T, read string) {
		s := newShop(t, read, nil)
		file := s.with(t, map[string]any{"dsn": pooler(t, s.relay), "listen_dsn": s.relay})
		declareNew(t, file)
		relay, other := startRelay(t, file), startRelay(t, file)
		committed := s.write(t, "first", 4, 10, 2400)
		relay.signal(t, syscall.SIGKILL)
		<-relay.done
		for order, n := range s.write(t, "second", 4, 10, 2400) {
			committed[order] = n
		}
		s.requireRelayed(t, committed)
		other.signal(t, syscall.SIGTERM)
		require.Zero(t, other.waitExit(t, patient))
	})
}
