package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unique"
)

// eventType is the one that clients post.
const eventType = "torture.order"

// answerLimit is how long a client waits for an answer: longer than a gateway
// that works needs, so that mostly those that do not work leave it open.
const answerLimit = deliveryTimeout + 4*time.Second

// poster posts to one gateway.
type poster struct {
	gateway int
	url     string
	http    *http.Client
}

func newPoster(gateway int, addr string) *poster {
	return &poster{
		gateway: gateway, url: "http://" + addr + "/v1/events/" + eventType,
		http: &http.Client{Timeout: answerLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute, DisableCompression: true}},
	}
}

// post sends the key's event once and returns what came of it. Of an answer it
// also returns how long it asks to wait.
func (p *poster) post(ctx context.Context, h *history, k *Key) (Attempt, time.Duration) {
	a := Attempt{Gateway: p.gateway, Sent: h.since()}
	status, header, raw, err := p.send(ctx, k)
	a.Answered = h.since()
	if err != nil {
		a.Slug = sayError(err)
		return a, 0
	}
	a.Status, a.Replayed = status, header.Get("Idempotent-Replayed") == "true"
	var body struct {
		Type, Outcome string
		Partition     int32
		Offset        int64
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		a.Slug = "not JSON"
		return a, 0
	}
	if status/100 == 2 {
		a.Receipt = &Receipt{Partition: body.Partition, Offset: body.Offset, Body: string(raw)}
		return a, 0
	}
	a.Slug = unique.Make(strings.TrimPrefix(body.Type, "/problems/")).Value()
	a.Outcome = unique.Make(body.Outcome).Value()
	seconds, _ := strconv.Atoi(header.Get("Retry-After")) // absent: 0
	return a, time.Duration(seconds) * time.Second
}

// send posts once. Go's client would repeat a request that has an
// Idempotency-Key when its connection breaks; here every attempt counts.
func (p *poster) send(ctx context.Context, k *Key) (int, http.Header, []byte, error) {
	text := []byte(k.Body())
	body := io.NopCloser(bytes.NewReader(text)) // without GetBody nothing is repeated
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, body)
	if err != nil {
		return 0, nil, nil, err
	}
	req.ContentLength = int64(len(text))
	req.Header.Set("Content-Type", "application/json")
	req.Header["idempotency-key"] = []string{k.Name} // this spelling, too, hides it from Go's client
	resp, err := p.http.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, raw, err
}

// sayError names what happened in few words, for tallies.
func sayError(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "time-out"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return "connection broke"
	default:
		return "other"
	}
}

// retryPause is when a client tries again: as it is told, but a second at most,
// and never at the same time as all others.
func retryPause(asked time.Duration, dice *rand.Rand) time.Duration {
	const least, most = 20 * time.Millisecond, time.Second
	jitter := time.Duration(dice.Int64N(int64(200 * time.Millisecond)))
	return min(max(asked, least), most)/2 + jitter
}
