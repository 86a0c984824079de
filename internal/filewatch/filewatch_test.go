package filewatch

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) { require.NoError(t, os.WriteFile(at(name), []byte(text), 0o600)) }
	hour := time.Now().Truncate(time.Hour)
	setTime := func(name string, to time.Time) { require.NoError(t, os.Chtimes(at(name), to, to)) }
	write("a", "1")
	write("b", "1")
	setTime("a", hour)
	setTime("b", hour)
	require.NoError(t, os.Symlink("a", at("link")))
	look := func() Stamp { return Files(at("link"), at("missing")) }
	changed := func(what string, change func()) {
		before := look()
		require.Equal(t, before, look(), what)
		change()
		require.NotEqual(t, before, look(), what)
	}
	changed("size", func() { write("a", "12"); setTime("a", hour) })
	changed("time", func() { setTime("a", hour.Add(time.Nanosecond)) })
	changed("another file in its place, of the same size and time", func() {
		write("c", "12")
		setTime("c", hour.Add(time.Nanosecond))
		require.NoError(t, os.Rename(at("c"), at("a")))
	})
	changed("another target of the link", func() {
		require.NoError(t, os.Symlink("b", at("next")))
		require.NoError(t, os.Rename(at("next"), at("link")))
	})
	changed("a file that comes", func() { write("missing", "") })
	changed("a file that goes", func() { require.NoError(t, os.Remove(at("missing"))) })
	require.NotEqual(t, Files(at("a"), at("b")), Files(at("b"), at("a")))
}

func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var state atomic.Value // of Stamp
		var changes atomic.Int32
		ended := make(chan struct{})
		go func() {
			Watch(ctx, time.Second, "a", func() Stamp { return state.Load().(Stamp) }, func() { changes.Add(1) })
			close(ended)
		}()
		for i, c := range []struct {
			state Stamp
			want  int32
		}{{"b", 1}, {"b", 1}, {"c", 2}, {"c", 2}, {"a", 3}} {
			state.Store(c.state)
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, c.want, changes.Load(), i)
		}
		cancel()
		<-ended
	})
}
