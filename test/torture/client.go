package torture

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// poster posts to one gateway.
type poster struct {
	gateway int
	url     string
	hooks   hooks
	http    *http.Client
}

func newPoster(gateway int, addr string, h hooks, answerLimit time.Duration) *poster {
	return &poster{
		gateway: gateway, url: "http://" + addr, hooks: h,
		http: &http.Client{Timeout: answerLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, DisableCompression: true}},
	}
}

// post sends those keys of a job once, records and returns the outcome of each, and how
// long the answer asks to wait. A request is never cancelled: it is answered, or runs
// into the client's timeout.
func (p *poster) post(ctx context.Context, h *history, j *job, keys []*Key) ([]Attempt, time.Duration) {
	ctx = context.WithoutCancel(ctx)
	a := Attempt{Gateway: p.gateway, Number: int(j.sent.Add(1)), Request: h.requests.Add(1), Sent: h.since()}
	attempts, asked := p.exchange(ctx, h, j, keys, a)
	j.add(h, keys, attempts)
	return attempts, asked
}

func (p *poster) exchange(ctx context.Context, h *history, j *job, keys []*Key, a Attempt) ([]Attempt, time.Duration) {
	out, err := j.request(p.hooks, keys, a.Number)
	var header http.Header
	var raw []byte
	if err == nil {
		a.Status, header, raw, err = p.send(ctx, out)
	}
	a.Answered = h.since()
	if err != nil {
		a.Status, a.Slug = 0, errorKind(err)
		return each(keys, a), 0
	}
	return j.read(keys, a, header, raw)
}

// send posts once. Go's client would repeat a request that has an
// Idempotency-Key when its connection breaks; here every attempt counts.
func (p *poster) send(ctx context.Context, out outgoing) (int, http.Header, []byte, error) {
	body := io.NopCloser(strings.NewReader(out.body)) // without GetBody nothing is repeated
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+out.path, body)
	if err != nil {
		return 0, nil, nil, err
	}
	req.ContentLength, req.Header = int64(len(out.body)), out.header
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, raw, err
}

// errorKind names an error in a few words, for tallies.
func errorKind(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return "connection broke"
	default:
		return "other"
	}
}

// retryPause is how long a client waits before it tries again: as long as it is told,
// but a second at most, with jitter.
func retryPause(asked time.Duration, dice *rand.Rand) time.Duration {
	const least, most = 20 * time.Millisecond, time.Second
	jitter := time.Duration(dice.Int64N(int64(200 * time.Millisecond)))
	return min(max(asked, least), most)/2 + jitter
}
