package event

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStructured(t *testing.T) {
	t.Parallel()
	def := &Definition{Type: "orders.placed", Version: "v2", Topic: "orders", Structured: true}
	data := "{ \"n\":12345678901234567890.10 }\n"
	value := Structured(def, Attributes{
		ID: "e \"1\"", Source: "/shop", Time: "2026-01-31T12:00:00Z", Subject: "größer", Extensions: []Extension{{Name: "tenant", Value: "7"}, {Name: "attempt", Value: "7", Literal: true}, {Name: "test", Value: "true", Literal: true}, {Name: "tracestate"}},
		TraceParent: "00-aa-bb-01",
	}, "application/json; charset=utf-8", "https://gw/schema", []byte(data))
	require.JSONEq(t, `{"specversion":"1.0","id":"e \"1\"","type":"orders.placed","source":"/shop","time":"2026-01-31T12:00:00Z",
		"datacontenttype":"application/json; charset=utf-8","dataschema":"https://gw/schema","subject":"größer","tenant":"7","attempt":7,"test":true,"tracestate":"",
		"data":{"n":12345678901234567890.10}}`, string(value))
	require.Contains(t, string(value), data, "to the byte")
	require.True(t, json.Valid(Structured(def, Attributes{}, "", "", []byte("null"))))
}

// The Kafka binding (§3.3) recognises structured records by their content type and allows
// the attributes as headers, too: receipts are read from those.
func TestStructuredRecordsKeepTheirHeaders(t *testing.T) {
	t.Parallel()
	def := &Definition{Type: "orders.placed", Version: "v2", Topic: "orders", Structured: true}
	headers := NewHeaders(def, Attributes{ID: "e-1", Source: "/shop", Time: "2026-01-31T12:00:00Z"}, "application/json", "", nil)
	require.Contains(t, headers, Header{"content-type", "application/cloudevents+json; charset=UTF-8"})
	require.Contains(t, headers, Header{"ce_id", "e-1"})
	require.Equal(t, "e-1", ReceiptOf(Record{Headers: headers}, Position{}).ID)
}
