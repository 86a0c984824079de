package torture

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"
)

// job is what a request and its retries carry: an event, a batch or a delivery.
type job struct {
	via  via
	key  string // Idempotency-Key; empty: none
	keys []*Key // in the order of the request
	sent atomic.Int32

	mu sync.Mutex // of the keys' attempts: two may post at once
}

// singleJob is the job of a single event.
func singleJob(k *Key) *job { return &job{via: single, key: k.Name, keys: []*Key{k}} }

// add records the answers to a request.
func (j *job) add(h *history, keys []*Key, attempts []Attempt) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i, k := range keys {
		h.count(k, attempts[i], attempts[i].Receipt != nil && k.Accepted() == nil)
		k.add(attempts[i])
	}
}

// surelyNotWritten tells whether no event without a 2xx can have been written.
func (j *job) surelyNotWritten() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, k := range j.keys {
		if k.Accepted() == nil && !k.SurelyNotWritten() {
			return false
		}
	}
	return true
}

// complete tells whether every event that can be accepted is. A job that was given up
// must never be posted again: later events of its entity are in the log.
func (j *job) complete() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, k := range j.keys {
		if _, never := k.never(); k.Accepted() == nil && !never {
			return false
		}
	}
	return true
}

// answered tells whether a request with these answers need not be repeated.
func answered(keys []*Key, attempts []Attempt) bool {
	for i, k := range keys {
		if attempts[i].Receipt == nil && !final(attempts[i]) && !k.Hopeless {
			return false
		}
	}
	return true
}

// again is what the next request carries: the same events, without those that were
// refused for good where leaving them out changes no identity.
func (j *job) again(keys []*Key, attempts []Attempt) []*Key {
	if j.via != eventBatch {
		return keys
	}
	var rest []*Key
	for i, k := range keys {
		if !final(attempts[i]) {
			rest = append(rest, k)
		}
	}
	return rest
}

// final tells whether a repetition would get the same refusal. The checker reports such
// an answer if the event is valid.
func final(a Attempt) bool {
	return a.Status >= 400 && a.Status < 500 && a.Status != 408 && a.Status != 409 && a.Status != 424 && a.Status != 429
}

// outgoing is a request as it is sent.
type outgoing struct {
	path   string
	header http.Header
	body   string
}

// request makes the n-th request of the job.
func (j *job) request(h hooks, keys []*Key, n int) (outgoing, error) {
	out := outgoing{header: http.Header{"Content-Type": {"application/json"}}}
	if j.key != "" {
		out.header["idempotency-key"] = []string{j.key} // Go's client does not recognise this spelling
	}
	bodies := make([]string, len(keys))
	for i, k := range keys {
		bodies[i] = k.Body(n)
	}
	switch {
	case j.via == single:
		out.path, out.body = "/v1/events/"+cmp.Or(keys[0].Type, orderType), bodies[0]
		out.header.Set("Ce-Attempt", strconv.Itoa(n))
		return out, nil
	case j.via.batch():
		out.path = "/v1/events"
		out.header.Set("Content-Type", "application/cloudevents-batch+json")
		for i, k := range keys {
			bodies[i] = fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":%q,"type":%q,"attempt":%d,"data":%s}`, k.Name, source, orderType, n, bodies[i])
		}
		out.body = "[" + strings.Join(bodies, ",\n") + "]"
		return out, nil
	}
	out.path, out.body = "/v1/webhooks/"+j.via.sourceName(), bodies[0]
	if j.via == fanOut {
		out.body = "[" + strings.Join(bodies, ",") + "]"
	}
	signed, err := h.sign(j.via, out.path, out.body)
	for name, values := range signed {
		out.header[name] = values
	}
	return out, err
}

// said is a receipt or a problem.
type said struct {
	Type, Outcome, Topic string
	Partition            int32
	Offset               int64
}

func (s *said) slug() string { return unique.Make(strings.TrimPrefix(s.Type, "/problems/")).Value() }

// read makes an attempt for each key from an answer, and returns how long the answer
// asks to wait. base has the fields that all attempts share.
func (j *job) read(keys []*Key, base Attempt, header http.Header, raw []byte) ([]Attempt, time.Duration) {
	base.Replayed = header.Get("Idempotent-Replayed") == "true"
	seconds, _ := strconv.Atoi(header.Get("Retry-After")) // absent: 0
	asked := time.Duration(seconds) * time.Second
	ok := base.Status/100 == 2
	if j.via.batch() && ok || j.via == fanOut && ok && len(keys) > 1 {
		return readItems(keys, base, raw), asked
	}
	base.read(raw)
	return each(keys, base), asked
}

// each returns the same attempt for every key.
func each(keys []*Key, a Attempt) []Attempt {
	all := make([]Attempt, len(keys))
	for i := range all {
		all[i] = a
	}
	return all
}

// read parses a receipt or a problem, depending on the status.
func (a *Attempt) read(raw []byte) {
	var s said
	if err := json.Unmarshal(raw, &s); err != nil {
		a.Slug = "not JSON"
		return
	}
	if a.Status/100 == 2 {
		a.Receipt = &Receipt{Topic: unique.Make(s.Topic).Value(), Partition: s.Partition, Offset: s.Offset, Body: string(raw)}
		return
	}
	a.Slug = s.slug()
	a.Outcome = unique.Make(s.Outcome).Value()
}

// readItems parses the answer to a batch. A malformed one gets a slug that no rule
// allows.
func readItems(keys []*Key, base Attempt, raw []byte) []Attempt {
	var body struct {
		Items []struct {
			Index, Status    int
			Receipt, Problem json.RawMessage
		}
	}
	err := json.Unmarshal(raw, &body)
	if err != nil || len(body.Items) != len(keys) {
		base.Slug = "not an item for each event"
		return each(keys, base)
	}
	all, accepted := each(keys, base), true
	for i, item := range body.Items {
		a := &all[i]
		a.Item, a.Status = true, item.Status
		accepted = accepted && item.Status == http.StatusAccepted
		text := item.Receipt
		if item.Status != http.StatusAccepted {
			text = item.Problem
		}
		a.read(text)
		if item.Index != i {
			a.Receipt, a.Slug = nil, "another item's index"
		}
	}
	if accepted != (base.Status == http.StatusAccepted) {
		base.Slug = "a status that its items do not have"
		return each(keys, base)
	}
	return all
}
