package endpoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// maxAnswerBytes of an answer are read, so that its connection can be used again; a
	// longer one loses the connection.
	maxAnswerBytes = 64 << 10
	// maxHeaderBytes bounds an answer's headers.
	maxHeaderBytes = 64 << 10
	idleTimeout    = 90 * time.Second
	keepAlive      = 30 * time.Second
	// MaxRetryAfter bounds what an endpoint may ask for with Retry-After.
	MaxRetryAfter = 5 * time.Minute
)

// Config describes an endpoint.
type Config struct {
	URL         string
	Secrets     []string // Standard Webhooks; none: requests are not signed
	Timeout     time.Duration
	Concurrency int               // connections that are kept
	Headers     map[string]string // static
	OAuth2      *OAuth2
	TLS         TLS
	Allow       []netip.Prefix // ranges that may be dialled although they are not public
	UserAgent   string
}

// TLS says how the endpoint proves who it is, and how the gateway does. Files are PEM.
type TLS struct {
	CA, Cert, Key, ServerName string
}

// Event is what is sent.
type Event struct {
	ID          string // the same for every attempt; without dots
	ContentType string
	Body        []byte
	Headers     []Header // further headers
	Attempt     int      // 1 for the first
}

// Header is a header of a request.
type Header struct{ Name, Value string }

// Class is what became of an attempt.
type Class string

// The classes.
const (
	Delivered  Class = "delivered"  // 2xx
	Refused    Class = "refused"    // 400, 413, 422: this event, and no retry helps
	ClientErr  Class = "4xx"        // another 4xx
	Throttled  Class = "throttled"  // 429, or 503 with Retry-After
	ServerErr  Class = "5xx"        // another 5xx
	Gone       Class = "gone"       // 410: the endpoint wants nothing more
	Redirect   Class = "redirect"   // 3xx, or another status that ends nothing
	Timeout    Class = "timeout"    // no whole answer before the deadline
	Connection Class = "connection" // no answer
	Blocked    Class = "blocked"    // by the guard
	Token      Class = "token"      // no OAuth2 token
	Canceled   Class = "canceled"   // by the gateway itself
)

// Classes lists all of them.
func Classes() []Class {
	return []Class{Delivered, Refused, ClientErr, Throttled, ServerErr, Gone, Redirect, Timeout, Connection, Blocked, Token, Canceled}
}

// Result is what became of an attempt.
type Result struct {
	Class      Class
	Status     int           // 0 without an answer
	RetryAfter time.Duration // what the endpoint asked for, within bounds; 0: nothing
	Err        error         // without an answer: why; it shows no secret
}

// Endpoint sends events. It is safe for concurrent use.
type Endpoint struct {
	cfg    Config
	signer *signer
	client *http.Client
	tokens *tokenSource // nil: no OAuth2
}

// Check says what is wrong with a configuration, one error for each fault, which begins
// with the name of its key. Files are read.
func Check(cfg Config) error {
	var faults []error
	add := func(key string, err error) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", key, err))
		}
	}
	add("url", checkURL(cfg.URL, guard{allow: cfg.Allow}))
	if cfg.OAuth2 != nil {
		add("oauth2.token_url", checkURL(cfg.OAuth2.TokenURL, guard{allow: cfg.Allow}))
	}
	_, err := newSigner(cfg.Secrets)
	add("secrets", err)
	_, err = cfg.TLS.config()
	add("tls", err)
	return errors.Join(faults...)
}

// checkURL refuses what can be judged without resolving a name.
func checkURL(text string, g guard) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" {
		return errors.New("is not an absolute URL")
	}
	if u.User != nil {
		return errors.New("has a user in it, which the configuration must not show: use headers or oauth2")
	}
	if u.Fragment != "" {
		return errors.New("has a fragment, which is not sent")
	}
	ip, err := netip.ParseAddr(u.Hostname())
	if err == nil {
		if err := g.judge(ip); err != nil {
			return err
		}
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme != "http":
		return errors.New("must begin with https:, or with http: within allow_cidrs")
	case len(g.allow) == 0:
		return errors.New("is http:, which is only for endpoints within allow_cidrs")
	}
	return nil
}

// New returns an endpoint. It connects to nothing, and reads the files of TLS.
func New(cfg Config, logger *slog.Logger) (*Endpoint, error) {
	if err := Check(cfg); err != nil {
		return nil, err
	}
	e := &Endpoint{cfg: cfg}
	var err error
	if e.signer, err = newSigner(cfg.Secrets); err != nil {
		return nil, err
	}
	tlsConfig, err := cfg.TLS.config()
	if err != nil {
		return nil, err
	}
	e.client = newClient(cfg, tlsConfig, cfg.URL)
	if cfg.OAuth2 != nil {
		e.tokens = newTokenSource(*cfg.OAuth2, newClient(cfg, tlsConfig.Clone(), cfg.OAuth2.TokenURL), cfg.Timeout)
	}
	if len(cfg.Secrets) == 0 {
		logger.Warn("a subscription has no secrets: its requests are not signed")
	}
	return e, nil
}

// newClient returns a client for requests to one URL.
func newClient(cfg Config, tlsConfig *tls.Config, target string) *http.Client {
	g := guard{allow: cfg.Allow, plain: strings.HasPrefix(strings.ToLower(target), "http:")}
	dialer := &net.Dialer{Timeout: cfg.Timeout, KeepAlive: keepAlive, Control: g.control}
	transport := &http.Transport{
		Proxy:                  nil, // an environment's proxy would dial for us, past the guard
		DialContext:            dialer.DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    cfg.Timeout,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           cfg.Concurrency,
		MaxIdleConnsPerHost:    cfg.Concurrency,
		MaxConnsPerHost:        cfg.Concurrency,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close closes idle connections.
func (e *Endpoint) Close() {
	e.client.CloseIdleConnections()
	if e.tokens != nil {
		e.tokens.client.CloseIdleConnections()
	}
}

func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("read ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca %s holds no certificate in PEM", t.CA)
		}
	}
	if (t.Cert == "") != (t.Key == "") {
		return nil, errors.New("has one of cert and key: give both, or neither")
	}
	if t.Cert != "" {
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			return nil, fmt.Errorf("read cert and key: %w", err)
		}
		// Read for each handshake, so that a renewed certificate needs no restart.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
			return &pair, err
		}
	}
	return c, nil
}

// Send makes one attempt. It ends when the endpoint has answered, at the deadline, or
// when ctx ends.
func (e *Endpoint) Send(ctx context.Context, ev Event) Result {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	token, result, ok := e.token(ctx, "")
	if !ok {
		return result
	}
	result = e.attempt(ctx, ev, token)
	if result.Status == http.StatusUnauthorized && e.tokens != nil {
		if token, again, ok := e.token(ctx, token); ok {
			return e.attempt(ctx, ev, token)
		} else if again.Class == Canceled {
			return again
		}
	}
	return result
}

// token returns a token other than the refused one, "" without OAuth2.
func (e *Endpoint) token(ctx context.Context, refused string) (string, Result, bool) {
	if e.tokens == nil {
		return "", Result{}, true
	}
	token, err := e.tokens.get(ctx, refused)
	if err == nil {
		return token, Result{}, true
	}
	r := failed(ctx, err)
	if r.Class == Connection {
		r.Class = Token
	}
	r.Err = fmt.Errorf("get an oauth2 token: %w", r.Err)
	return "", r, false
}

func (e *Endpoint) attempt(ctx context.Context, ev Event, token string) Result {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.cfg.URL, bytes.NewReader(ev.Body))
	if err != nil {
		return Result{Class: Connection, Err: errors.New("the request could not be built")}
	}
	now := time.Now()
	for name, value := range e.cfg.Headers {
		req.Header.Set(name, value)
		if http.CanonicalHeaderKey(name) == "Host" {
			req.Host = value
		}
	}
	for _, h := range ev.Headers {
		req.Header.Set(h.Name, h.Value)
	}
	if ev.ContentType != "" {
		req.Header.Set("Content-Type", ev.ContentType)
	}
	req.Header.Set("User-Agent", e.cfg.UserAgent)
	req.Header.Set("Webhook-Id", ev.ID)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("Gateway-Attempt", strconv.Itoa(ev.Attempt))
	if signature := e.signer.sign(ev.ID, now, ev.Body); signature != "" {
		req.Header.Set("Webhook-Signature", signature)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	// An empty one is not sent, and lets the transport send the request again, within this
	// attempt, when a kept connection turns out to be closed (net/http, Transport).
	req.Header["Idempotency-Key"] = []string{}
	// Redirects are not followed, and there are no cookies: what a client does besides costs
	// time only.
	resp, err := e.client.Transport.RoundTrip(req)
	if err != nil {
		return failed(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil && ctx.Err() != nil || n >= maxAnswerBytes && ctx.Err() != nil {
		return failed(ctx, ctx.Err())
	}
	return judge(resp.StatusCode, resp.Header.Get("Retry-After"), now)
}

// judge classifies an answer. A body that breaks off after its status changes nothing:
// the status has said it.
func judge(status int, retryAfter string, now time.Time) Result {
	r := Result{Status: status, RetryAfter: parseRetryAfter(retryAfter, now)}
	switch {
	case status >= 200 && status < 300:
		r.Class, r.RetryAfter = Delivered, 0
	case status == http.StatusGone:
		r.Class = Gone
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		r.Class = Refused
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && r.RetryAfter > 0:
		r.Class = Throttled
	case status >= 400 && status < 500:
		r.Class = ClientErr
	case status >= 500 && status < 600:
		r.Class = ServerErr
	default:
		r.Class = Redirect
	}
	return r
}

// parseRetryAfter reads seconds or a date (RFC 9110 §10.2.3), at most MaxRetryAfter.
func parseRetryAfter(text string, now time.Time) time.Duration {
	if text == "" {
		return 0
	}
	if seconds, err := strconv.Atoi(text); err == nil {
		if seconds < 0 {
			return 0
		}
		return min(time.Duration(min(seconds, 1<<20))*time.Second, MaxRetryAfter)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), MaxRetryAfter))
}

// failed classifies an attempt without an answer. The errors of net/http show the URL,
// which may hold a token: only the cause inside is kept.
func failed(ctx context.Context, err error) Result {
	var blocked *BlockedError
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var timeout net.Error
	switch {
	case errors.As(err, &blocked):
		return Result{Class: Blocked, Err: blocked}
	case errors.Is(context.Cause(ctx), context.Canceled):
		return Result{Class: Canceled, Err: context.Canceled}
	case ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return Result{Class: Timeout, Err: errors.New("no whole answer before the deadline")}
	}
	return Result{Class: Connection, Err: err}
}
