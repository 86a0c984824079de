package endpoint

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/webhook"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"

var silent = slog.New(slog.DiscardHandler)

// dial returns an endpoint for a server of this machine.
func dial(t *testing.T, url string, change ...func(*Config)) *Endpoint {
	t.Helper()
	cfg := Config{URL: url, Timeout: 5 * time.Second, Concurrency: 4, UserAgent: "eventgateway", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
	for _, c := range change {
		c(&cfg)
	}
	e, err := New(cfg, silent)
	require.NoError(t, err)
	t.Cleanup(e.Close)
	return e
}

func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

var event = Event{ID: "evt_1", ContentType: "application/json", Body: []byte(`{"a":1}`), Attempt: 3, Headers: []Header{{"ce-id", "7"}}}

func TestSignaturesVerify(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	second := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))
	got := make(chan webhook.Intake, 8)
	for _, known := range []string{secret, second, "whpk_" + base64.StdEncoding.EncodeToString(public)} {
		source, err := webhook.New(webhook.Config{Name: "x", Scheme: "standard", Secrets: []string{known}, EventType: "t", Tolerance: time.Minute})
		require.NoError(t, err)
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			d, rejection := source.Receive(webhook.Request{Method: r.Method, Header: r.Header, Body: body}, time.Now())
			if rejection != nil {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			got <- d
			if r.Header.Get("Gateway-Attempt") != "3" || r.Header.Get("Ce-Id") != "7" || len(r.Header.Values("Idempotency-Key")) > 0 {
				t.Error("wrong headers", r.Header)
			}
		})
		e := dial(t, url, func(c *Config) {
			c.Secrets = []string{secret, second, "whsk_" + base64.StdEncoding.EncodeToString(private.Seed())}
		})
		require.Equal(t, Result{Class: Delivered, Status: http.StatusOK}, e.Send(t.Context(), event))
		<-got
	}
}

func TestSecretsAreChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "hunter2", "whsec_", "whsec_aGk=", "whsec_%%%", "whsk_aGk=", "whpk_" + base64.StdEncoding.EncodeToString(make([]byte, 32)), "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65))} {
		err := CheckSecret(bad)
		require.ErrorIs(t, err, errSecret, bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
	require.NoError(t, CheckSecret(secret))
}

func TestAnswersAreClassified(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		status     int
		retryAfter string
		class      Class
		least      time.Duration
		most       time.Duration
	}{
		{status: 200, class: Delivered},
		{status: 204, retryAfter: "9", class: Delivered},
		{status: 299, class: Delivered},
		{status: 301, class: Redirect},
		{status: 302, class: Redirect},
		{status: 307, class: Redirect},
		{status: 304, class: Redirect},
		{status: 400, class: Refused},
		{status: 413, class: Refused},
		{status: 422, class: Refused},
		{status: 410, class: Gone},
		{status: 401, class: ClientErr},
		{status: 404, class: ClientErr},
		{status: 409, class: ClientErr},
		{status: 429, class: Throttled},
		{status: 429, retryAfter: "7", class: Throttled, least: 7 * time.Second, most: 7 * time.Second},
		{status: 503, class: ServerErr},
		{status: 503, retryAfter: "100000", class: Throttled, least: MaxRetryAfter, most: MaxRetryAfter},
		{status: 503, retryAfter: later, class: Throttled, least: time.Second, most: 20 * time.Second},
		{status: 503, retryAfter: "-5", class: ServerErr},
		{status: 503, retryAfter: "soon", class: ServerErr},
		{status: 500, class: ServerErr},
		{status: 599, class: ServerErr},
		{status: 700, class: Redirect},
	} {
		t.Run(fmt.Sprint(c.status, c.retryAfter), func(t *testing.T) {
			t.Parallel()
			r := judge(c.status, c.retryAfter, time.Now())
			require.Equal(t, c.class, r.Class)
			require.GreaterOrEqual(t, r.RetryAfter, c.least)
			require.LessOrEqual(t, r.RetryAfter, c.most)
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	target := serve(t, func(http.ResponseWriter, *http.Request) { followed.Store(true) })
	for _, to := range []string{target, "http://169.254.169.254/latest/meta-data/"} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) })
		require.Equal(t, Redirect, dial(t, url).Send(t.Context(), event).Class)
	}
	require.False(t, followed.Load())
}

// An endpoint of which only its name is known resolves to loopback, as after rebinding.
func TestNamesAreJudgedByWhatTheyResolveTo(t *testing.T) {
	t.Parallel()
	url := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("it was called") })
	_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	for _, target := range []string{"https://localhost:" + port, "http://localhost:" + port} {
		r := dial(t, target, func(c *Config) { c.Allow = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }).Send(t.Context(), event)
		require.Equal(t, Blocked, r.Class, "%v", r.Err)
		require.Zero(t, r.Status)
	}
}

func TestProxiesOfTheEnvironmentAreNotUsed(t *testing.T) {
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was called") })
	t.Setenv("HTTP_PROXY", proxy)
	t.Setenv("http_proxy", proxy)
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	require.Equal(t, Delivered, dial(t, url).Send(t.Context(), event).Class)
}

func TestSickEndpointsEndAtTheDeadline(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"no answer": func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body); <-r.Context().Done() },
		"a body that never ends": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				w.(http.Flusher).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := dial(t, serve(t, handler), func(c *Config) { c.Timeout = 300 * time.Millisecond })
			r := e.Send(context.Background(), event)
			require.Equal(t, Timeout, r.Class, "%v", r.Err)
		})
	}
	t.Run("a body that is too long is not read to its end", func(t *testing.T) {
		t.Parallel()
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			big := make([]byte, 1<<20)
			for range 64 {
				if _, err := w.Write(big); err != nil {
					return
				}
			}
		})
		require.Equal(t, Delivered, dial(t, url).Send(t.Context(), event).Class)
	})
	t.Run("reset", func(t *testing.T) {
		t.Parallel()
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = c.(*net.TCPConn).SetLinger(0)
				_ = c.Close()
			}
		})
		require.Equal(t, Connection, dial(t, url).Send(t.Context(), event).Class)
	})
	t.Run("the gateway stops", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			cancel()
			<-r.Context().Done()
		})
		require.Equal(t, Canceled, dial(t, url).Send(ctx, event).Class)
	})
}

func TestErrorsDoNotShowTheURL(t *testing.T) {
	t.Parallel()
	e := dial(t, "http://127.0.0.1:1/?token=hunter2")
	r := e.Send(t.Context(), event)
	require.Equal(t, Connection, r.Class)
	require.NotContains(t, r.Err.Error(), "hunter2")
}

func TestOAuth2(t *testing.T) {
	t.Parallel()
	var issued, refused atomic.Int64
	tokens := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "a" || password != "b%2Fc" || r.FormValue("scope") != "x y" || r.FormValue("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"t%d","expires_in":3600}`, issued.Add(1))
	})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer t1" && refused.Load() > 0 {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if refused.Load() > 1 {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	e := dial(t, url, func(c *Config) {
		c.OAuth2 = &OAuth2{TokenURL: tokens, ClientID: "a", ClientSecret: "b/c", Scopes: []string{"x", "y"}}
	})
	for range 3 {
		require.Equal(t, Delivered, e.Send(t.Context(), event).Class)
	}
	require.EqualValues(t, 1, issued.Load(), "the token is kept")
	refused.Store(1)
	require.Equal(t, Delivered, e.Send(t.Context(), event).Class)
	require.EqualValues(t, 2, issued.Load(), "and replaced when it is refused")
	refused.Store(2)
	require.Equal(t, http.StatusUnauthorized, e.Send(t.Context(), event).Status)
	require.EqualValues(t, 3, issued.Load(), "once for an attempt")

	e = dial(t, url, func(c *Config) { c.OAuth2 = &OAuth2{TokenURL: tokens, ClientID: "a", ClientSecret: "hunter2"} })
	r := e.Send(t.Context(), event)
	require.Equal(t, Token, r.Class)
	require.NotContains(t, r.Err.Error(), "hunter2")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	ca := write("ca.pem", "CERTIFICATE", s.Certificate().Raw)
	key, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	keyFile := write("key.pem", "PRIVATE KEY", key)

	require.Equal(t, Connection, dial(t, s.URL).Send(t.Context(), event).Class, "an unknown authority")
	withCA := func(c *Config) { c.TLS.CA, c.TLS.ServerName = ca, "example.com" }
	require.Equal(t, http.StatusForbidden, dial(t, s.URL, withCA).Send(t.Context(), event).Status)
	mutual := func(c *Config) { withCA(c); c.TLS.Cert, c.TLS.Key = ca, keyFile }
	require.Equal(t, Delivered, dial(t, s.URL, mutual).Send(t.Context(), event).Class)
	require.ErrorContains(t, Check(Config{URL: "https://example.com", TLS: TLS{Cert: "x"}}), "tls: has one of cert and key")
	require.ErrorContains(t, Check(Config{URL: "https://example.com", TLS: TLS{CA: keyFile}}), "no certificate")
}
