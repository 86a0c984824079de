package cloudevent

import "testing"

var sample = []byte(`{"specversion":"1.0","id":"0123456789abcdef01234567","source":"/bench","type":"orders.placed","data":{"currency":"EUR","customerId":"c-318","items":[{"sku":"TEA-250G","quantity":2,"unitPrice":1290},{"sku":"MUG-BLUE","quantity":1,"unitPrice":950}],"orderId":"000000000000000000000000","placedAt":"2026-11-23T09:15:30Z"}}`)

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(sample); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseBatch(b *testing.B) {
	b.ReportAllocs()
	text := []byte("[")
	for i := range 100 {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, sample...)
	}
	text = append(text, ']')
	for b.Loop() {
		if _, err := ParseBatch(text); err != nil {
			b.Fatal(err)
		}
	}
}
