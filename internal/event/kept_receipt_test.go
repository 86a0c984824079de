package event

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func receiptAt(time string) Receipt {
	key := "o-1"
	return Receipt{
		ID: "e-1", Type: "orders.placed", Version: "v2", Topic: "orders", Partition: 3, Offset: 1 << 40, Key: &key, Time: time,
	}
}

func TestKeptReceiptIsCompletedByARetry(t *testing.T) {
	t.Parallel()
	other := "o-2"
	const first, later = "2026-01-31T12:00:00.123456789Z", "2026-02-01T07:30:00Z"
	for name, c := range map[string]struct {
		change func(*Receipt) // of what the retry would write
		same   bool
	}{
		"the same":            {func(*Receipt) {}, true},
		"another position":    {func(r *Receipt) { r.Partition, r.Offset = 0, 0 }, true},
		"a later time":        {func(r *Receipt) { r.Time = later }, true},
		"another id":          {func(r *Receipt) { r.ID = "e-2" }, false},
		"another type":        {func(r *Receipt) { r.Type = "orders.changed" }, false},
		"a newer version":     {func(r *Receipt) { r.Version = "v3" }, false},
		"another topic":       {func(r *Receipt) { r.Topic = "orders2" }, false},
		"another entity key":  {func(r *Receipt) { r.Key = &other }, false},
		"no entity key":       {func(r *Receipt) { r.Key = nil }, false},
		"topic for type":      {func(r *Receipt) { r.Type, r.Topic = r.Topic, r.Type }, false},
		"nothing is known":    {func(r *Receipt) { *r = Receipt{} }, false},
		"version in the type": {func(r *Receipt) { r.Type, r.Version = "orders.placed\",\"version\":\"v2", "" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			written := receiptAt(first)
			now := receiptAt(first)
			c.change(&now)
			got, ok := KeepReceipt(written, written.AppendJSON(nil)).Complete(now)
			require.Equal(t, c.same, ok)
			if c.same {
				require.Equal(t, written, got)
			}
		})
	}
}

func TestKeptTime(t *testing.T) {
	t.Parallel()
	for text, kept := range map[string]bool{
		"2026-01-31T12:00:00Z":           true,
		"2026-01-31T12:00:00.5Z":         true,
		"2026-01-31T12:00:00.123456789Z": true,
		"1969-12-31T23:59:59.999999999Z": true,
		"1970-01-01T00:00:00Z":           false, // its number says that none is kept
		"2026-01-31T12:00:00.50Z":        false,
		"2026-01-31T12:00:00+00:00":      false,
		"2026-01-31T13:00:00+01:00":      false,
		"2026-01-31t12:00:00z":           false,
		"0001-01-01T00:00:00Z":           false,
		"9999-12-31T23:59:59Z":           false,
		"yesterday":                      false,
		"":                               false,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			written := receiptAt(text)
			k := KeepReceipt(written, written.AppendJSON(nil))
			require.Equal(t, kept, k.TimeNs != 0)
			got, ok := k.Complete(written)
			require.True(t, ok, "a retry that brings the same time gets the receipt in any case")
			require.Equal(t, written, got)
			_, ok = k.Complete(receiptAt("2030-01-01T00:00:00Z"))
			require.Equal(t, kept, ok)
		})
	}
}

func TestHashes(t *testing.T) {
	t.Parallel()
	require.Equal(t, TopicHash{0xba, 0x78, 0x16, 0xbf}, HashTopic("abc"), "SHA-256 of FIPS 180-4's example")
	require.Equal(t, ReceiptHash{0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01}, HashReceipt([]byte("abc")))
}
