//go:build integration

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// order is a sample order and the key to publish it under.
type order struct {
	id   string // as Kafka's key has it
	key  string // Idempotency-Key
	body []byte
}

// newOrder makes the i-th order of a run. Its bytes differ from what a JSON
// library would write for the same data in ways that depend on i.
func newOrder(run string, i int) order {
	o := order{id: fmt.Sprintf("o-%s-%d", run, i), key: fmt.Sprintf("%s-%d", run, i)}
	const items = `"items":[{"sku":"TEA-250G","quantity":2,"unitPrice":%s}]`
	const compact = `{"orderId":%q,"customerId":"c-318","currency":"EUR",` + items + `,"placedAt":"2026-11-23T09:15:30Z"}`
	switch i % 5 {
	case 0:
		o.body = fmt.Appendf(nil, compact, o.id, "1290")
	case 1: // spacing
		var b bytes.Buffer
		_ = json.Indent(&b, fmt.Appendf(nil, compact, o.id, "1290"), " ", "\t") // the text is ours
		o.body = append([]byte("\r\n "), append(b.Bytes(), " \n"...)...)
	case 2: // order of members; numbers that a float would not keep
		o.body = fmt.Appendf(nil, `{"placedAt" : "2026-11-23T18:16:02.250+09:00","x":[1.0,1e2,-0,0.10,1E+400], `+items+
			`,"currency":"JPY","customerId":"c","orderId":%q}`, "9007199254740993", o.id)
	case 3: // integers of any size
		o.body = fmt.Appendf(nil, compact, o.id, fmt.Sprintf("12345678901234567890123456789%d", i))
	case 4: // escapes and other writing systems
		o.id = "ö-" + o.id
		o.body = fmt.Appendf(nil, `{"orderId":"\u00f6-\u006f%s","customerId":"c\/1","currency":"EUR",`+items+
			`,"note":"\ud83d\ude00 😀 \u0000","placedAt":"2026-11-23T09:15:30Z"}`, o.id[len("ö-o"):], "0")
	}
	return o
}

func (o order) post(eventType string) post {
	return post{eventType: eventType, key: o.key, body: o.body}
}

func newOrders(run string, n int) []order {
	orders := make([]order, n)
	for i := range orders {
		orders[i] = newOrder(run, i)
	}
	return orders
}
