package event

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReceiptAppendJSONEqualsEncodingJSON(t *testing.T) {
	t.Parallel()
	texts := []string{"", "o-10492", `a"b\c`, "tab\there", "größer", "日本 🚀", "<a&b>", "\u2028", "bad \xff utf-8", "\x7f", "null"}
	receipts := []Receipt{{}, {Partition: 11, Offset: 9007199254740993}, {Partition: -1, Offset: -1}}
	for _, s := range texts {
		receipts = append(receipts, Receipt{ID: s, Type: s, Version: s, Topic: s, Key: &s, Time: s})
	}
	for _, r := range receipts {
		want, err := json.Marshal(r)
		require.NoError(t, err)
		require.Equal(t, string(want), string(r.AppendJSON(nil)))
	}
}

func BenchmarkReceiptAppendJSON(b *testing.B) {
	key := "o-10492"
	r := Receipt{
		ID: "3a9c9238-385f-8323-8d8f-ed4048ff8c42", Type: "orders.placed", Version: "v1", Topic: "orders.placed",
		Partition: 3, Offset: 1234567, Key: &key, Time: "2026-11-23T09:16:44.065099991Z",
	}
	b.ReportAllocs()
	for b.Loop() {
		r.AppendJSON(make([]byte, 0, 256))
	}
}
