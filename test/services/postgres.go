package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// PostgresConfig describes one PostgreSQL server. Only Dir is required.
type PostgresConfig struct {
	// Dir gets the data (in data/) and server.log. It is created if missing;
	// data in it from an earlier start are kept and used.
	Dir      string
	Port     int               // 0: a free one
	Settings map[string]string // postgresql.conf settings to add or replace
	// Detached servers outlive this process; others die with it.
	Detached bool

	onStart func(procID) error
}

// Postgres is a running PostgreSQL server with logical decoding switched on and
// fsync switched off: if the server is killed, nothing is lost; if the machine fails,
// everything may be.
type Postgres struct {
	server
	port int
}

// StartPostgres starts a server and returns when it answers. For root the
// server runs as the user postgres, because PostgreSQL refuses root.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	return withPortRetry(cfg.Port != 0, func() (*Postgres, error) {
		p, err := newPostgres(ctx, cfg)
		if err != nil {
			return nil, err
		}
		if err := p.Restart(ctx); err != nil {
			return nil, err
		}
		return p, nil
	})
}

func newPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	if cfg.Dir == "" {
		return nil, errors.New("start postgres: Dir is empty")
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	path, err := lookup("postgres")
	if err != nil {
		return nil, err
	}
	credential, err := postgresCredential()
	if err != nil {
		return nil, err
	}
	if err := preparePostgresDir(dir, credential); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := initdb(ctx, data, credential); err != nil {
		return nil, err
	}
	port, err := portOr(cfg.Port)
	if err != nil {
		return nil, err
	}
	p := &Postgres{port: port}
	p.cmd = command{
		name: "postgres", path: path, args: postgresArgs(data, port, cfg.Settings), dir: dir, logPath: filepath.Join(dir, "server.log"),
		// SIGQUIT and not SIGKILL, which would leave the children and the
		// shared memory behind.
		credential: credential, deathSignal: syscall.SIGQUIT, detached: cfg.Detached, onStart: cfg.onStart,
	}
	// Fast and immediate shutdown; the latter recovers at the next start as
	// after a crash (PostgreSQL manual, "Shutting Down the Server").
	p.stopSignal, p.killSignal = syscall.SIGINT, syscall.SIGQUIT
	p.probe = func(ctx context.Context, pid int) error { return probePostgres(ctx, p.DSN(), data, pid) }
	return p, nil
}

// Addr returns host:port. It stays the same for the server's life.
func (p *Postgres) Addr() string { return addr(p.port) }

// DSN returns the URL of the database "postgres" for its superuser.
func (p *Postgres) DSN() string { return postgresDSN(p.Addr()) }

func postgresDSN(addr string) string {
	return "postgres://postgres@" + addr + "/postgres?sslmode=disable"
}

func postgresArgs(data string, port int, settings map[string]string) []string {
	args := []string{
		"-D", data,
		"-c", "listen_addresses=" + loopback, "-c", "port=" + strconv.Itoa(port), "-c", "unix_socket_directories=",
		"-c", "wal_level=logical", "-c", "max_wal_senders=10", "-c", "max_replication_slots=10",
		"-c", "fsync=off", "-c", "full_page_writes=off",
	}
	var more []string
	for name, value := range settings {
		more = append(more, "--"+name+"="+value)
	}
	slices.Sort(more)
	return append(args, more...)
}

// postgresCredential returns the user to run as, or nil for this process's own.
func postgresCredential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find user postgres (PostgreSQL refuses to run as root; Debian's package postgresql-15 creates the user): %w", err)
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, fmt.Errorf("read ids of user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// preparePostgresDir creates the directory, gives it to the server's user, and
// checks that this user can reach it.
func preparePostgresDir(dir string, credential *syscall.Credential) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("create postgres directory: %w", err)
	}
	if credential == nil {
		return nil
	}
	if err := os.Chown(dir, int(credential.Uid), int(credential.Gid)); err != nil {
		return fmt.Errorf("give postgres its directory: %w", err)
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		if err := letEnter(parent); err != nil {
			return fmt.Errorf("check way to postgres directory %s: %w", dir, err)
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}

// letEnter returns an error if other users may not enter the directory. It opens this
// process's own temporary directories to them, because testing.T.TempDir makes them
// private.
func letEnter(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	const enter = 0o001
	if info.Mode().Perm()&enter != 0 {
		return nil
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	own := ok && int(stat.Uid) == os.Geteuid()
	if own && strings.HasPrefix(dir, filepath.Clean(os.TempDir())+"/") {
		return os.Chmod(dir, info.Mode().Perm()|enter)
	}
	return fmt.Errorf("the user postgres may not enter %s; chmod o+x it, or work in a directory outside it", dir)
}

// initdb creates the data directory, unless it has data already.
func initdb(ctx context.Context, data string, credential *syscall.Credential) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	}
	path, err := lookup("initdb")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	// Made beside and renamed, so that an interrupted start leaves no half of it.
	unfinished := data + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove unfinished postgres data: %w", err)
	}
	cmd := exec.CommandContext(ctx, path, "-D", unfinished, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	cmd.Dir = filepath.Dir(data)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	cmd.WaitDelay = probeTimeout // its children hold its output open
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("create postgres data in %s: %w\n%s", data, err, out)
	}
	if err := os.Rename(unfinished, data); err != nil {
		return fmt.Errorf("put postgres data in place: %w", err)
	}
	return nil
}

// probePostgres runs a query. It fails if another server has the port, which shows by
// its data directory.
func probePostgres(ctx context.Context, dsn, data string, pid int) error {
	// postmaster.pid holds the pid in line 1 once the server owns its data.
	raw, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil || !strings.HasPrefix(string(raw), strconv.Itoa(pid)+"\n") {
		return errors.New("postgres does not own its data directory yet")
	}
	got, err := psql(ctx, dsn, "SHOW data_directory")
	if err != nil {
		return err
	}
	if got != data {
		return fmt.Errorf("the postgres at %s is another server, of %s: %w", dsn, got, errPortTaken)
	}
	return nil
}

// psql runs one statement and returns its output, columns separated by "|".
func psql(ctx context.Context, dsn, sql string) (string, error) {
	path, err := lookup("psql")
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, path, "-X", "-At", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-c", sql).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("query %s: %w: %s", dsn, err, strings.TrimSpace(string(out)))
	}
	return strings.TrimSpace(string(out)), nil
}
