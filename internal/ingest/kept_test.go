package ingest

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// writeOnce writes a request's event through a door and returns its receipt, and what a
// store keeps of it.
func writeOnce(t *testing.T, w *world, req Request) (event.Receipt, event.KeptReceipt) {
	t.Helper()
	result, err := w.door(Config{}, nil).Accept(t.Context(), req)
	require.NoError(t, err)
	return result.Receipt, event.KeepReceipt(result.Receipt, result.Receipt.AppendJSON(nil))
}

func newerVersion(w *world) {
	w.check = func(string, string, []byte) (event.Checked, error) {
		c := checked()
		c.Definition.Version = "v3"
		return c, nil
	}
}

// TestReplayOfAKeptReceipt: the receipt of a settled event is the first one, whether the
// retry can make it or the record has to be read.
func TestReplayOfAKeptReceipt(t *testing.T) {
	t.Parallel()
	withAttributes := func(a event.Attributes) Request {
		req := keyed()
		req.Attributes = a
		return req
	}
	structured := func(w *world) {
		w.check = func(string, string, []byte) (event.Checked, error) {
			c := checked()
			c.Definition.Structured = true
			return c, nil
		}
	}
	deadLetter := keyed()
	deadLetter.DeadLetter = &DeadLetter{Topic: "dead"}
	webhook := keyed()
	webhook.Identity.Kind = event.IdentityWebhook
	otherBody := webhook
	otherBody.Type = "orders.changed"
	for name, c := range map[string]struct {
		first, retry Request
		before, then []func(*world)
		read         bool
	}{
		"the same request":              {first: keyed(), retry: keyed()},
		"structured":                    {first: keyed(), retry: keyed(), before: []func(*world){structured}, then: []func(*world){structured}},
		"the same id and time":          {first: withAttributes(event.Attributes{ID: "1", Time: "2026-01-01T01:00:00+01:00"}), retry: withAttributes(event.Attributes{ID: "1", Time: "2026-01-01T01:00:00+01:00"})},
		"a time that is kept":           {first: withAttributes(event.Attributes{Time: "2026-01-01T00:00:00Z"}), retry: withAttributes(event.Attributes{Time: "2026-01-02T00:00:00Z"})},
		"another id":                    {first: withAttributes(event.Attributes{ID: "1"}), retry: withAttributes(event.Attributes{ID: "2"}), read: true},
		"a time that is not kept":       {first: withAttributes(event.Attributes{Time: "2026-01-01T01:00:00+01:00"}), retry: keyed(), read: true},
		"a newer version":               {first: keyed(), retry: keyed(), then: []func(*world){newerVersion}, read: true},
		"no longer valid":               {first: keyed(), retry: keyed(), then: []func(*world){refusesData(invalid)}, read: true},
		"topic is missing":              {first: keyed(), retry: keyed(), then: []func(*world){topicIsMissing}},
		"a dead letter":                 {first: deadLetter, retry: deadLetter, before: []func(*world){refusesData(invalid)}, then: []func(*world){refusesData(invalid)}},
		"a dead letter that fits now":   {first: deadLetter, retry: deadLetter, before: []func(*world){refusesData(invalid)}, read: true},
		"valid before, a dead letter":   {first: deadLetter, retry: deadLetter, then: []func(*world){refusesData(invalid)}, read: true},
		"a delivery with the same body": {first: webhook, retry: webhook},
		"a delivery as another type":    {first: webhook, retry: otherBody, then: []func(*world){newerVersion}, read: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := newWorld(t)
			for _, given := range c.before {
				given(first)
			}
			receipt, kept := writeOnce(t, first, c.first)
			later := newWorld(t)
			later.clock.advance(time.Hour)
			for _, given := range c.then {
				given(later)
			}
			storeFinds(event.ClaimResult{State: event.Settled, Kept: &kept})(later)
			reads := 0
			later.read = func(k event.KeptReceipt) (event.Receipt, error) {
				reads++
				require.Equal(t, kept, k)
				return receipt, nil
			}
			result, err := later.door(Config{}, nil).Accept(t.Context(), c.retry)
			require.NoError(t, err)
			require.Equal(t, Result{Receipt: receipt, Replayed: true}, result)
			require.Equal(t, c.read, reads == 1)
			require.Empty(t, later.records)

			asked, err := later.door(Config{}, nil).Receipt(t.Context(), c.retry.Client, c.retry.Identity)
			require.NoError(t, err)
			require.Equal(t, receipt, asked, "whoever only asks knows nothing: the record is read")
		})
	}
}

func TestRecordOfAKeptReceiptCannotBeRead(t *testing.T) {
	t.Parallel()
	_, kept := writeOnce(t, newWorld(t), keyed())
	cause := errors.New("kafka is away")
	w := newWorld(t)
	w.read = func(event.KeptReceipt) (event.Receipt, error) { return event.Receipt{}, cause }
	newerVersion(w)
	storeFinds(event.ClaimResult{State: event.Settled, Kept: &kept})(w)
	door := w.door(Config{}, nil)

	result, err := door.Accept(t.Context(), keyed())
	require.ErrorIs(t, err, cause)
	requireError(t, err, event.OutcomeUnknown, event.Unknown)
	require.Equal(t, Result{}, result, "no receipt is better than another one")
	require.Empty(t, w.records, "nothing is written again")

	_, err = door.Receipt(t.Context(), "web", keyed().Identity)
	requireError(t, err, event.OutcomeUnknown, event.Unknown)
}
