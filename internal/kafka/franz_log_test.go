package kafka

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestFranzLogger(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	plain := slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	logged := func(level slog.Level) kgo.Logger {
		out.Reset()
		options := plain
		options.Level = level
		return FranzLogger(slog.New(slog.NewTextHandler(&out, &options)))
	}

	l := logged(slog.LevelInfo)
	require.Equal(t, kgo.LogLevelWarn, l.Level())
	l.Log(kgo.LogLevelError, "fatal", "broker", "1", "err", errors.New("x"))
	l.Log(kgo.LogLevelWarn, "unable to open connection to broker", "addr", "a:1")
	l.Log(kgo.LogLevelWarn, "random error while producing", "broker", "1")
	l.Log(kgo.LogLevelInfo, "done", "how", "well")
	require.Equal(t, "level=WARN msg=franz-go text=fatal detail.broker=1 detail.err=x\n"+
		"level=WARN msg=franz-go text=\"unable to open connection to broker\" detail.addr=a:1\n", out.String())

	l = logged(slog.LevelDebug)
	require.Equal(t, kgo.LogLevelDebug, l.Level())
	l.Log(kgo.LogLevelWarn, "random error while producing", "broker", "1")
	l.Log(kgo.LogLevelInfo, "done")
	require.Equal(t, "level=DEBUG msg=franz-go text=\"random error while producing\" detail.broker=1\nlevel=DEBUG msg=franz-go text=done\n", out.String())
}

func TestRepeatedWarningsAreLoggedOnceInAWhile(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	now := time.Unix(1_700_000_000, 0)
	logger := FranzLogger(slog.New(slog.NewTextHandler(&out, nil))).(franzLogger)
	logger.repeats.now = func() time.Time { return now }
	const text = "unable to open connection to broker"
	for range 60 { // seconds
		for _, broker := range []string{"1", "2"} {
			for range 10 {
				logger.Log(kgo.LogLevelWarn, text, "addr", "host:1", "broker", broker)
				logger.Log(kgo.LogLevelWarn, text, "addr", "host:2", "broker", broker)
			}
		}
		now = now.Add(time.Second)
	}
	require.Equal(t, 12, strings.Count(out.String(), text), "two addresses, every ten seconds")
	require.Contains(t, out.String(), "left_out=199")
}
