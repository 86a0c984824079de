package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// idLen is the width of the id that each event carries twice, as its
// Idempotency-Key or CloudEvents id and as its orderId: run (8), connection (4), sequence (12),
// all hexadecimal.
const idLen = 8 + 4 + 12

// Body makes the request body from the first of a JSON Schema's examples, with
// an orderId of idLen characters. It returns the body and where the id starts.
func Body(schema []byte) ([]byte, int, error) {
	var doc struct {
		Examples []map[string]json.RawMessage `json:"examples"`
	}
	if err := json.Unmarshal(schema, &doc); err != nil {
		return nil, 0, fmt.Errorf("parse schema: %w", err)
	}
	if len(doc.Examples) == 0 {
		return nil, 0, fmt.Errorf("parse schema: no examples")
	}
	example := doc.Examples[0]
	if _, ok := example["orderId"]; !ok {
		return nil, 0, fmt.Errorf("parse schema: the first example has no orderId")
	}
	placeholder := string(bytes.Repeat([]byte("0"), idLen))
	example["orderId"] = json.RawMessage(strconv.Quote(placeholder))
	body, err := json.Marshal(example)
	if err != nil {
		return nil, 0, fmt.Errorf("encode body: %w", err)
	}
	at := bytes.Index(body, []byte(`"orderId":"`+placeholder+`"`))
	if at < 0 || bytes.Count(body, []byte(placeholder)) != 1 {
		return nil, 0, fmt.Errorf("encode body: the placeholder id is not unique in %s", body)
	}
	return body, at + len(`"orderId":"`), nil
}

// request is one connection's HTTP request, patched in place for each event in it.
type request struct {
	bytes    []byte
	places   []place // one for each event
	sequence uint64
	types    []string
	nextType int
}

// place is where an event's type stands, and its id: as its identity and as its orderId.
type place struct{ typeAt, identityAt, orderIDAt int }

func newRequest(o Options, conn int) *request {
	id := fmt.Sprintf("%08x%04x%012x", o.Run, conn&0xffff, 0)
	r := &request{types: o.EventTypes, nextType: conn % len(o.EventTypes)}
	var b bytes.Buffer
	who := ""
	if o.Key != "" {
		who = "Authorization: Bearer " + o.Key + "\r\n"
	}
	if o.Batch == 0 {
		fmt.Fprintf(&b, "POST /v1/events/%s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\nIdempotency-Key: ",
			o.EventTypes[0], o.Address, who, len(o.Body))
		at := b.Len()
		fmt.Fprintf(&b, "%s\r\n\r\n", id)
		r.places = []place{{len("POST /v1/events/"), at, b.Len() + o.OrderIDAt}}
		b.Write(o.Body)
	} else {
		body, places := batch(o)
		fmt.Fprintf(&b, "POST /v1/events HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/cloudevents-batch+json\r\nContent-Length: %d\r\n\r\n", o.Address, who, len(body))
		for _, p := range places {
			r.places = append(r.places, place{b.Len() + p.typeAt, b.Len() + p.identityAt, b.Len() + p.orderIDAt})
		}
		b.Write(body)
	}
	r.bytes = b.Bytes()
	for _, p := range r.places {
		copy(r.bytes[p.identityAt:], id)
		copy(r.bytes[p.orderIDAt:], id)
	}
	return r
}

// batch is a body of CloudEvents that are deduplicated on source and id.
func batch(o Options) ([]byte, []place) {
	var b bytes.Buffer
	places := make([]place, o.Batch)
	separator := "["
	for i := range places {
		b.WriteString(separator + `{"specversion":"1.0","id":"`)
		places[i].identityAt = b.Len()
		fmt.Fprintf(&b, `%s","source":"/bench","type":"`, bytes.Repeat([]byte("0"), idLen))
		places[i].typeAt = b.Len()
		b.WriteString(o.EventTypes[0] + `","data":`)
		places[i].orderIDAt = b.Len() + o.OrderIDAt
		b.Write(o.Body)
		b.WriteByte('}')
		separator = ",\n"
	}
	b.WriteByte(']')
	return b.Bytes(), places
}

// events is how many each request has.
func (r *request) events() uint64 { return uint64(len(r.places)) }

// next gives the request's events fresh ids and the types whose turn it is, and returns its bytes, valid until the
// next call.
func (r *request) next() []byte {
	for _, p := range r.places {
		copy(r.bytes[p.typeAt:], r.types[r.nextType])
		if r.nextType++; r.nextType == len(r.types) {
			r.nextType = 0
		}
		r.sequence++
		putHex(r.bytes[p.identityAt+12:p.identityAt+idLen], r.sequence)
		putHex(r.bytes[p.orderIDAt+12:p.orderIDAt+idLen], r.sequence)
	}
	return r.bytes
}

// putHex writes v right-aligned in lower-case hexadecimal, cut to len(dst).
func putHex(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = "0123456789abcdef"[v&15]
		v >>= 4
	}
}
