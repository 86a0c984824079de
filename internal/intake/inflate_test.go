package intake

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

var allCodings = []string{Gzip, Zstd, Brotli}

func TestBrokenCompressedBodies(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	text := strings.Repeat(`{"orderId":"o-1"}`, 100)
	for _, coding := range allCodings {
		whole := compress(t, coding, text)
		cases := map[string]string{
			"no such stream": "{}",
			"garbage behind": whole + "garbage",
			"one byte more":  whole + "\x00",
			"one byte off":   whole[:len(whole)-1],
			"half":           whole[:len(whole)/2],
		}
		if coding != Zstd { // no frame at all is an empty body
			cases["nothing"] = ""
		}
		for name, body := range cases {
			t.Run(coding+", "+name, func(t *testing.T) {
				t.Parallel()
				w := g.dial(t)
				w.send(t, rawPost("Content-Encoding: "+coding, body)+rawPost("", "{}"))
				requireRefused(t, w.answer(t), event.MalformedRequest, "broken or cut off")
				require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode, "the connection is kept")
			})
		}
	}
}

func TestInflatedSizes(t *testing.T) {
	t.Parallel()
	const limit = 40 * kib
	g := start(t, accepting, withBodyLimit(limit))
	roomy := start(t, accepting, withBodyLimit(8<<20))
	noise := strings.Repeat("x", kib)
	for _, coding := range allCodings {
		post := func(g *served, path, text string) answer {
			return g.post(t, path, compress(t, coding, text), "Content-Encoding: "+coding)
		}
		require.Equal(t, http.StatusAccepted, post(g, "/v1/events/orders.placed", strings.Repeat(" ", limit)).StatusCode)
		requireRefused(t, post(g, "/v1/events/orders.placed", strings.Repeat(" ", limit+1)), event.EventTooLarge, "inflated body is larger than 40960 bytes")
		requireRefused(t, post(g, "/v1/events/metrics.page-viewed", strings.Repeat(" ", 4*kib+1)), event.EventTooLarge, "4096 bytes; events of this type")
		require.Equal(t, http.StatusAccepted, post(roomy, "/v1/events/orders.placed", strings.Repeat(noise, 1000)).StatusCode)
		requireRefused(t, post(roomy, "/v1/events/orders.placed", strings.Repeat(noise, 7000)), event.EventTooLarge, "100 times")
	}
	require.Zero(t, g.BodyBytes())
}

func TestInflatedBytesAreAdmitted(t *testing.T) {
	t.Parallel()
	held := newHolding()
	g := start(t, held.door, withInFlight(100*kib))
	w := g.dial(t)
	w.send(t, rawPost("", strings.Repeat(" ", 50*kib)))
	<-held.begun
	for _, coding := range allCodings {
		a := g.post(t, "/v1/events/orders.placed", compress(t, coding, strings.Repeat(" ", 60*kib)), "Content-Encoding: "+coding)
		requireRefused(t, a, event.Overloaded, "")
		require.EqualValues(t, 50*kib, g.BodyBytes())
	}
	close(held.gate)
	require.Equal(t, http.StatusAccepted, w.answer(t).StatusCode)
}

// A body that becomes large waits for room, with nothing but what was sent.
func TestLargeInflatedBodiesWaitForRoom(t *testing.T) {
	t.Parallel()
	held := newHolding()
	g := start(t, held.door, withInFlight(800*kib), withBodyLimit(450*kib))
	first := g.dial(t)
	first.send(t, rawPost("", strings.Repeat(" ", 300*kib)))
	<-held.begun
	packed := compress(t, Gzip, strings.Repeat(" ", 100*kib))
	second := g.dial(t)
	second.send(t, rawPost("Content-Encoding: gzip", packed))
	require.Eventually(t, func() bool { return g.budget.Waiting() == 1 }, 10*time.Second, time.Millisecond)
	require.EqualValues(t, 300*kib+len(packed), g.BodyBytes())
	close(held.gate)
	require.Equal(t, http.StatusAccepted, first.answer(t).StatusCode)
	require.Equal(t, http.StatusAccepted, second.answer(t).StatusCode)
}

// RFC 9659 §3: a frame may ask for 8 MiB of memory.
func TestZstdWindows(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	for window, status := range map[int]int{8 << 20: http.StatusAccepted, 16 << 20: http.StatusBadRequest} {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(false))
		require.NoError(t, err)
		_, err = w.Write([]byte("{}"))
		require.NoError(t, err)
		require.NoError(t, w.Flush()) // its length is not known then
		require.NoError(t, w.Close())
		a := g.post(t, "/v1/events/orders.placed", b.String(), "Content-Encoding: zstd")
		require.Equal(t, status, a.StatusCode, string(a.body))
	}
}

// FuzzInflate compares the decoded body with what one plain decoder returns.
func FuzzInflate(f *testing.F) {
	text := strings.Repeat(`{"orderId":"o-1","total":12}`, 40)
	for i, coding := range allCodings {
		packed := compress(f, coding, text)
		f.Add(i, []byte(packed))
		f.Add(i, []byte(packed[:len(packed)/2]))
		f.Add(i, []byte(packed+packed))
		f.Add(i, []byte(compress(f, coding, strings.Repeat(" ", 1<<20))))
	}
	const limit = 64 << 10
	s := New(Config{Limits: Limits{BodyLimit: limit, InFlight: 4 * limit}})
	f.Fuzz(func(t *testing.T, which int, compressed []byte) {
		coding := allCodings[uint(which)%uint(len(allCodings))]
		if len(compressed) > limit {
			return
		}
		want, wantErr := plainly(coding, compressed, limit+1)
		b := &Body{intake: s}
		got, err := b.inflate(coding, compressed, limit)
		switch {
		case len(want) > limit:
			require.Error(t, err)
		case wantErr != nil:
			require.Error(t, err, "%v", wantErr)
		case err == nil:
			require.Equal(t, want, append([]byte{}, got...))
		case coding != Brotli: // plainly accepts cut-off brotli streams
			require.NoError(t, err)
		}
		require.LessOrEqual(t, b.held, 2*limit)
		for _, buf := range b.bufs {
			s.buffers.put(buf)
		}
		s.budget.Give(int64(b.held))
		require.Zero(t, s.budget.Held())
	})
}

// plainly decodes with a new decoder without our limits, up to most bytes.
func plainly(coding string, compressed []byte, most int64) ([]byte, error) {
	src := bytes.NewReader(compressed)
	var r io.Reader
	var err error
	switch coding {
	case Gzip:
		r, err = gzip.NewReader(src)
	case Zstd:
		var d *zstd.Decoder
		d, err = zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err == nil {
			defer d.Close()
		}
		r = d
	default:
		r = brotli.NewReader(src)
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, most))
	if data == nil {
		data = []byte{}
	}
	return data, err
}
