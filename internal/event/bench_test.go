package event

import "testing"

func BenchmarkReceiptJSON(b *testing.B) {
	key := "0123456789abcdef01234567"
	r := Receipt{ID: key, Type: "orders.placed", Version: "v2", Topic: "orders.placed", Partition: 3, Offset: 48211, Key: &key, Time: "2026-11-23T09:15:30.123456789Z"}
	room := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		r.AppendJSON(room)
	}
}
