package load

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// idLen is the width of the id that each request carries twice, as its
// Idempotency-Key and as its orderId: run (8), connection (4), sequence (12),
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

// request is one connection's HTTP request, patched in place for each event.
type request struct {
	bytes     []byte
	keyAt     int
	orderIDAt int
	sequence  uint64
}

func newRequest(host, path string, body []byte, orderIDAt int, run uint32, conn int) *request {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nIdempotency-Key: ",
		path, host, len(body))
	r := &request{keyAt: b.Len()}
	fmt.Fprintf(&b, "%08x%04x%012x\r\n\r\n", run, conn&0xffff, 0)
	r.orderIDAt = b.Len() + orderIDAt
	b.Write(body)
	r.bytes = b.Bytes()
	copy(r.bytes[r.orderIDAt:], r.bytes[r.keyAt:r.keyAt+idLen])
	return r
}

// next gives the request a fresh id and returns its bytes, valid until the next
// call.
func (r *request) next() []byte {
	r.sequence++
	putHex(r.bytes[r.keyAt+12:r.keyAt+idLen], r.sequence)
	putHex(r.bytes[r.orderIDAt+12:r.orderIDAt+idLen], r.sequence)
	return r.bytes
}

// putHex writes v right-aligned in lower-case hexadecimal, cut to len(dst).
func putHex(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = "0123456789abcdef"[v&15]
		v >>= 4
	}
}
