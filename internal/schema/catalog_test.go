package schema

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// watched is a catalog over a separate folder, polled by hand.
type watched struct {
	*Catalog
	dir     string
	log     *bytes.Buffer
	changes int
	before  *Set // as told by the last change
	after   *Set
}

func watchFolder(t *testing.T, f files) *watched {
	t.Helper()
	w := &watched{dir: filepath.Join(t.TempDir(), "schemas"), log: &bytes.Buffer{}}
	require.NoError(t, os.Mkdir(w.dir, 0o750))
	f.write(t, w.dir)
	w.open(t)
	return w
}

func (w *watched) open(t *testing.T) {
	t.Helper()
	var err error
	w.Catalog, err = New(Config{Dir: w.dir, Watch: true, OnChange: func(before, after *Set) {
		w.changes++
		w.before, w.after = before, after
	}},
		slog.New(slog.NewTextHandler(w.log, nil)), prometheus.NewRegistry())
	require.NoError(t, err)
}

func (w *watched) put(t *testing.T, name, content string) {
	t.Helper()
	files{name: content}.write(t, w.dir)
}

// polls looks n times and returns what is known of type t afterwards.
func (w *watched) polls(n int) {
	for range n {
		w.poll()
	}
}

func (w *watched) topic(t *testing.T, eventType string) string {
	t.Helper()
	def, err := w.Lookup(eventType, "")
	if err != nil {
		return ""
	}
	return def.Topic
}

func (w *watched) count(result string) int {
	return int(testutil.ToFloat64(w.metrics.reloads.WithLabelValues(result)))
}

func (w *watched) errorLines() int { return strings.Count(w.log.String(), "level=ERROR") }

func topic(name string) string { return `{"x-event":{"key":null,"topic":"` + name + `"}}` }

func TestNewRefusesBadSchemas(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Dir: t.TempDir()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.ErrorContains(t, err, "holds no event type")
}

func TestNewRefusesASecondRegistration(t *testing.T) {
	t.Parallel()
	dir, registry := t.TempDir(), prometheus.NewRegistry()
	files{"t/v1.json": topic("a")}.write(t, dir)
	_, err := New(Config{Dir: dir}, slog.New(slog.DiscardHandler), registry)
	require.NoError(t, err)
	_, err = New(Config{Dir: dir}, slog.New(slog.DiscardHandler), registry)
	require.ErrorContains(t, err, "register schema metrics")
}

func TestReload(t *testing.T) {
	t.Parallel()
	t.Run("nothing changed", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		before := w.Set()
		w.polls(2 * blindSpot)
		require.Same(t, before, w.Set())
		require.Zero(t, w.changes)
		require.Zero(t, w.count("loaded"))
	})
	t.Run("a changed file", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		before := w.Set()
		w.put(t, "t/v1.json", topic("other"))
		w.polls(1)
		require.Equal(t, "a", w.topic(t, "t"), "the copy may still be going on")
		w.polls(1)
		require.Equal(t, "other", w.topic(t, "t"))
		def, err := before.Lookup("t", "")
		require.NoError(t, err)
		require.Equal(t, "a", def.Topic, "a set never changes")
		require.Equal(t, 1, w.changes)
		require.Same(t, before, w.before)
		require.Same(t, w.Set(), w.after)
		require.Equal(t, 1, w.count("loaded"))
	})
	t.Run("types come and go", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		w.put(t, "u/v1.json", topic("b"))
		w.polls(2)
		require.Equal(t, "b", w.topic(t, "u"))
		require.InDelta(t, 2, testutil.ToFloat64(w.metrics.types), 0)
		require.InDelta(t, float64(time.Now().Unix()), testutil.ToFloat64(w.metrics.lastLoad), 60)
		require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "t")))
		w.polls(2)
		require.Empty(t, w.topic(t, "t"))
	})
	t.Run("touched only", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		require.NoError(t, os.Chtimes(filepath.Join(w.dir, "t", "v1.json"), time.Now(), time.Now().Add(time.Hour)))
		w.polls(3)
		require.Zero(t, w.changes)
	})
	t.Run("same size and time, other inode", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		at := filepath.Join(w.dir, "t", "v1.json")
		info, err := os.Stat(at)
		require.NoError(t, err)
		w.put(t, "t/.new", topic("b"))
		require.NoError(t, os.Rename(filepath.Join(w.dir, "t", ".new"), at))
		require.NoError(t, os.Chtimes(at, info.ModTime(), info.ModTime()))
		w.polls(2)
		require.Equal(t, "b", w.topic(t, "t"))
	})
	t.Run("same size, time and inode", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		at := filepath.Join(w.dir, "t", "v1.json")
		info, err := os.Stat(at)
		require.NoError(t, err)
		w.put(t, "t/v1.json", topic("b"))
		require.NoError(t, os.Chtimes(at, info.ModTime(), info.ModTime()))
		w.polls(blindSpot)
		require.Equal(t, "b", w.topic(t, "t"))
	})
	t.Run("a folder that never rests", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		for i := range restless {
			require.Equal(t, "a", w.topic(t, "t"))
			w.put(t, "t/v1.json", topic("a"+strings.Repeat("x", i+1)))
			w.polls(1)
		}
		require.Equal(t, "a"+strings.Repeat("x", restless), w.topic(t, "t"))
	})
	t.Run("ConfigMap", func(t *testing.T) {
		t.Parallel()
		w := &watched{dir: filepath.Join(t.TempDir(), "mount"), log: &bytes.Buffer{}}
		require.NoError(t, os.Mkdir(w.dir, 0o750))
		configMap(t, w.dir, "1", files{"t/v1.json": topic("a")})
		w.open(t)
		configMap(t, w.dir, "2", files{"t/v1.json": topic("b"), "u/v1.json": topic("c")})
		w.polls(2)
		require.Equal(t, "b", w.topic(t, "t"))
		require.Equal(t, "c", w.topic(t, "u"))
	})
}

func TestReloadRefused(t *testing.T) {
	t.Parallel()
	t.Run("once per state, and it heals", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		w.put(t, "t/v1.json", topic("b")[:20]) // half written
		w.polls(2)
		require.Equal(t, "a", w.topic(t, "t"))
		require.Equal(t, 1, w.count("refused"))
		require.Contains(t, w.log.String(), "schemas refused, the last good ones stay in use")
		require.Contains(t, w.log.String(), "t/v1.json:1:")
		w.polls(3 * blindSpot)
		require.Equal(t, 1, w.count("refused"))
		require.Equal(t, 1, w.errorLines())

		w.put(t, "t/v1.json", topic("b")[:21]) // another bad state is told again
		w.polls(2)
		require.Equal(t, 2, w.count("refused"))
		require.Equal(t, 2, w.errorLines())

		w.put(t, "t/v1.json", topic("b"))
		w.polls(2)
		require.Equal(t, "b", w.topic(t, "t"))
		require.Equal(t, 1, w.changes)

		w.put(t, "t/v1.json", topic("b")[:21]) // the same mistake made again is told again
		w.polls(2)
		require.Equal(t, 3, w.errorLines())
	})
	t.Run("undone", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		w.put(t, "stray.txt", "")
		w.polls(2)
		require.Equal(t, 1, w.count("refused"))
		require.NoError(t, os.Remove(filepath.Join(w.dir, "stray.txt")))
		w.polls(2)
		require.Contains(t, w.log.String(), "as they were loaded again")
		require.Zero(t, w.changes)
		w.put(t, "stray.txt", "")
		w.polls(2)
		require.Equal(t, 2, w.count("refused"), "the same mistake made again is told again")
	})
	t.Run("the folder is gone for a while", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		require.NoError(t, os.Rename(w.dir, w.dir+".away"))
		w.polls(2 * blindSpot)
		require.Equal(t, "a", w.topic(t, "t"))
		require.Equal(t, 1, w.count("refused"))
		require.Contains(t, w.log.String(), "the folder does not exist")
		require.NoError(t, os.Rename(w.dir+".away", w.dir))
		w.put(t, "t/v1.json", topic("b"))
		w.polls(2)
		require.Equal(t, "b", w.topic(t, "t"))
	})
	t.Run("emptied", func(t *testing.T) {
		t.Parallel()
		w := watchFolder(t, files{"t/v1.json": topic("a")})
		require.NoError(t, os.RemoveAll(filepath.Join(w.dir, "t")))
		w.polls(2)
		require.Equal(t, "a", w.topic(t, "t"))
		require.Equal(t, 1, w.count("refused"))
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	t.Run("reloads while others check", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		files{"t/v1.json": topic("a")}.write(t, dir)
		changed := make(chan *Set, 1)
		c, err := New(Config{Dir: dir, Watch: true, Interval: 5 * time.Millisecond, OnChange: func(_, s *Set) { changed <- s }},
			slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = c.Run(ctx) })
		running.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.Check("t", "", []byte(`{"a":[1,{"b":"c"}]}`)); err != nil {
					panic(err)
				}
			}
		})
		files{"t/v1.json": topic("b")}.write(t, dir)
		select {
		case set := <-changed:
			require.Same(t, set, c.Set())
			require.Equal(t, []string{"b"}, set.Topics())
		case <-time.After(10 * time.Second):
			t.Error("no reload")
		}
		cancel()
		running.Wait()
	})
	t.Run("without watching", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		files{"t/v1.json": topic("a")}.write(t, dir)
		c, err := New(Config{Dir: dir}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, c.Run(ctx))
	})
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
