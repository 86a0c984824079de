package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unique"
)

// Question is one GET /v1/receipts about a key, and its answer.
type Question struct {
	Gateway  int
	Sent     time.Duration
	Answered time.Duration
	Status   int    // 0: no answer came
	Slug     string // of a problem; without an answer, the kind of error
	Outcome  string
	Receipt  *Receipt
}

// asking is the query that names the key. Clients cannot ask about webhooks: those are
// events of their sources.
func (k *Key) asking() (query url.Values, ok bool) {
	switch k.Via {
	case single:
		return url.Values{"idempotency_key": {k.Name}}, true
	case keyedBatch:
		return url.Values{"idempotency_key": {k.Batch}, "index": {strconv.Itoa(k.Index)}}, true
	case eventBatch:
		return url.Values{"source": {source}, "id": {k.Name}}, true
	case stripe, fanOut:
	}
	return nil, false
}

// ask asks once what became of an event of a job, and records the answer.
func (p *poster) ask(ctx context.Context, h *history, j *job, k *Key) {
	query, ok := k.asking()
	if !ok {
		return
	}
	q := Question{Gateway: p.gateway, Sent: h.since()}
	raw, err := p.get(context.WithoutCancel(ctx), "/v1/receipts?"+query.Encode(), &q.Status)
	q.Answered = h.since()
	var s said
	switch {
	case err != nil:
		q.Status, q.Slug = 0, errorKind(err)
	case json.Unmarshal(raw, &s) != nil:
		q.Slug = "not JSON"
	case q.Status/100 == 2:
		q.Receipt = &Receipt{Topic: unique.Make(s.Topic).Value(), Partition: s.Partition, Offset: s.Offset, Body: string(raw)}
	default:
		q.Slug, q.Outcome = s.slug(), unique.Make(s.Outcome).Value()
	}
	j.mu.Lock()
	k.Questions = append(k.Questions, q)
	j.mu.Unlock()
	h.countQuestion(q)
}

func (p *poster) get(ctx context.Context, path string, status *int) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	*status = resp.StatusCode
	return io.ReadAll(resp.Body)
}

func (q *Question) text() string {
	switch {
	case q.Status == 0:
		return "no answer: " + q.Slug
	case q.Receipt != nil:
		return strconv.Itoa(q.Status)
	default:
		return fmt.Sprintf("%d %s (%s)", q.Status, q.Slug, q.Outcome)
	}
}

// allowedQuestions are the problems that a question for a receipt may get.
var allowedQuestions = map[string]bool{
	"404 not-found not-written":                     true,
	"409 request-in-progress unknown":               true,
	"503 overloaded not-written":                    true,
	"503 log-unavailable not-written":               true,
	"503 idempotency-store-unavailable not-written": true,
	"504 outcome-unknown unknown":                   true,
}

// questions checks the answers to questions for receipts: (e) a receipt is that of the
// first 2xx, and (a) its record is in the log; (c) what was answered before a question
// whose answer is "not found" is not in the log; (g) others are in the contract.
func (c *checker) questions(k *Key) {
	first := k.Accepted()
	for i := range k.Questions {
		switch q := &k.Questions[i]; {
		case q.Status == 0:
		case q.Receipt != nil:
			if first != nil && *q.Receipt != *first {
				c.report("e", []*Key{k}, "the receipt of %s was asked for and is %s, but its 2xx had %s", k.Name, q.Receipt.Body, first.Body)
			}
			if err := c.holds(k, q.Receipt); err != nil {
				c.report("a", []*Key{k}, "the receipt of %s was asked for and is %s, but %v", k.Name, q.Receipt.Body, err)
			}
		case !allowedQuestions[fmt.Sprintf("%d %s %s", q.Status, q.Slug, q.Outcome)]:
			c.report("g", []*Key{k}, "the question for the receipt of %s was answered %s", k.Name, q.text())
		case q.Status == http.StatusNotFound:
			c.absent(k, q)
		}
	}
}

// absent checks an answer "not found". A request that had no answer by then may still
// have been under way.
func (c *checker) absent(k *Key, q *Question) {
	for _, r := range c.byClaim[k.Claim()] {
		writers := k.writers(r)
		before := len(writers) > 0
		for _, a := range writers {
			before = before && a.Status != 0 && a.Answered <= q.Sent
		}
		if before {
			c.report("c", []*Key{k}, "the receipt of %s was not found at %v, but it is in %s by attempt %d, which was answered at %v",
				k.Name, q.Sent, places([]*Record{r}), writers[0].Number, writers[0].Answered)
		}
	}
}
