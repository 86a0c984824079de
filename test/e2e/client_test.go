//go:build integration

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/test/services"
)

// client posts events over its own connections.
type client struct {
	addr string
	http *http.Client
}

// newClient uses at most conns connections at a time.
func newClient(t *testing.T, addr string, conns int) *client {
	t.Helper()
	transport := &http.Transport{
		MaxConnsPerHost: conns, MaxIdleConnsPerHost: conns, MaxIdleConns: conns, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{addr: addr, http: &http.Client{Transport: transport, Timeout: patient}}
}

// post is one event to publish.
type post struct {
	eventType string
	key       string // Idempotency-Key; "": none
	body      []byte
	header    map[string]string
}

// answer is a complete response.
type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
	at     time.Time // when it was sent
}

// send posts once. Go's client would repeat a request that has an
// Idempotency-Key when its connection breaks; here every attempt counts.
func (c *client) send(p post) (answer, error) {
	body := io.NopCloser(bytes.NewReader(p.body)) // without GetBody nothing is repeated
	req, err := http.NewRequest(http.MethodPost, "http://"+c.addr+"/v1/events/"+p.eventType, body)
	if err != nil {
		return answer{}, err
	}
	req.ContentLength = int64(len(p.body))
	req.Header.Set("Content-Type", "application/json")
	if p.key != "" {
		req.Header["idempotency-key"] = []string{p.key} // Go's client does not recognise this spelling
	}
	for name, value := range p.header {
		req.Header.Set(name, value)
	}
	begun := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{at: begun, took: time.Since(begun)}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if resp.StatusCode >= http.StatusBadRequest {
		recordShown("an answer", fmt.Sprint(resp.Header, string(raw)))
	}
	return answer{resp.StatusCode, resp.Header, raw, time.Since(begun), begun}, err
}

// mustSend is send, for gateways that must not drop a connection.
func (c *client) mustSend(t *testing.T, p post) answer {
	t.Helper()
	a, err := c.send(p)
	require.NoError(t, err)
	return a
}

// receipt is the body of a 202 (design section 5).
type receipt struct {
	ID        string  `json:"id"`
	Type      string  `json:"type"`
	Version   string  `json:"version"`
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Key       *string `json:"key"`
	Time      string  `json:"time"`
}

func (a answer) receipt(t *testing.T) receipt {
	t.Helper()
	require.Equal(t, http.StatusAccepted, a.status, "%s", a.body)
	var r receipt
	decoder := json.NewDecoder(bytes.NewReader(a.body))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&r), "%s", a.body)
	return r
}

func (a answer) replayed() bool { return a.header.Get("Idempotent-Replayed") == "true" }

// problem is the body of every other answer (RFC 9457).
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Outcome   string `json:"outcome"`
	Retryable bool   `json:"retryable"`
	Errors    []struct {
		Pointer string `json:"pointer"`
		Keyword string `json:"keyword"`
		Message string `json:"message"`
	} `json:"errors"`
}

func (p problem) slug() string { return strings.TrimPrefix(p.Type, "/problems/") }

func (a answer) problem() (problem, error) {
	var p problem
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		return p, fmt.Errorf("content type is %q, status %d: %.300s", ct, a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		return p, fmt.Errorf("problem %.300q: %w", a.body, err)
	}
	if p.Status != a.status || !strings.HasPrefix(p.Type, "/problems/") || p.Title == "" || p.Detail == "" {
		return p, fmt.Errorf("problem with status %d lacks a member: %s", a.status, a.body)
	}
	return p, nil
}

func (a answer) mustBe(t *testing.T, status int, slug, outcome string) problem {
	t.Helper()
	p, err := a.problem()
	require.NoError(t, err)
	require.Equal(t, [3]any{status, slug, outcome}, [3]any{p.Status, p.slug(), p.Outcome}, "%s", a.body)
	return p
}

// claimOf is gw_claim of an Idempotency-Key of the anonymous client.
func claimOf(key string) string { return claimOfParts("key", "anonymous", key) }

// claimOfParts is SHA-256 of the length-prefixed kind, client, key parts and
// (empty) index.
func claimOfParts(parts ...string) string {
	h := sha256.New()
	for _, part := range append(parts, "") {
		_ = binary.Write(h, binary.BigEndian, uint32(len(part))) // a hash takes everything
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// claimKeys returns what makes the Redis key of a claim, on the shared Kafka (docs/adr/0022).
func claimKeys(t *testing.T) func(key string) string {
	t.Helper()
	about, err := kafkaAdmin(t, services.Shared(t).Kafka).BrokerMetadata(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, about.Cluster)
	sum := sha256.Sum256([]byte(about.Cluster))
	installation := base64.RawURLEncoding.EncodeToString(sum[:])[:7]
	return func(key string) string {
		id, _ := hex.DecodeString(claimOf(key))
		return "gw:" + installation + "{" + hex.EncodeToString(id[:1]) + "}" + string(id[1:17])
	}
}
