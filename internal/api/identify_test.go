package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/auth"
	"eventgateway/internal/event"
)

// withAuth knows the client "web", who may publish orders.*, by the key that is
// returned, and an expired one.
func withAuth(t *testing.T) (o option, good string) {
	t.Helper()
	good, text := auth.NewKey()
	hash, ok := auth.ParseHash(text)
	require.True(t, ok)
	a, err := auth.New(t.Context(), auth.Config{Clients: []auth.Client{{Name: "web", Keys: []auth.Key{{Hash: hash}}, Events: []string{"orders.*", "gone.*"}}}}, nil)
	require.NoError(t, err)
	return func(c *Config, _ *Catalog) { c.Auth = a }, good
}

// Every route but those that must be open asks who calls.
func TestRoutesAskWhoCalls(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	g := start(t, accepting, with, withWebhooks(t))
	open := map[string]bool{
		"GET /problems": true, "GET /problems/internal": true, "GET /docs/assets/page.css": true, "OPTIONS /v1/events": true,
		"OPTIONS /v1/webhooks/stripe": true, "POST /v1/webhooks/stripe": true, // by its signature
		"GET /v1/webhooks/stripe": true, // a provider checks the URL
	}
	example := strings.NewReplacer("{type}", "orders.placed", "{version}", "v1", "{source}", "stripe", "{slug}", "internal", "{file}", "page.css")
	doc := openAPI(t)
	for name := range doc.operations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(example.Replace(name), " ")
			body := ""
			if method == http.MethodPost {
				body = "{}"
			}
			a := g.do(t, method, path, body)
			if open[example.Replace(name)] {
				if path != "/v1/webhooks/stripe" || method == http.MethodOptions {
					require.Equal(t, http.StatusOK, a.StatusCode)
				}
				return
			}
			requireRefused(t, a, event.Unauthenticated, "no credentials that are valid")
			doc.requireDocumented(t, name, a)
			for _, bad := range []string{"Bearer gwk_wrong", "Bearer " + good + "x", good, "Bearer a.b.c"} {
				again := g.do(t, method, path, body, "Authorization: "+bad)
				require.Equal(t, a.StatusCode, again.StatusCode)
				require.Equal(t, string(a.body), string(again.body), "all are alike")
				require.Equal(t, a.Header.Get("WWW-Authenticate"), again.Header.Get("WWW-Authenticate"))
			}
			require.NotEqual(t, http.StatusUnauthorized, g.do(t, method, path, body, "Authorization: Bearer "+good).StatusCode)
		})
	}
}

func TestClientIsTheScopeOfKeys(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	d, seen := recording()
	g := start(t, d, with)
	for name, send := range map[string]func() answer{
		"event": func() answer { return g.post(t, "Authorization: Bearer "+good, "Idempotency-Key: k") },
		"receipt": func() answer {
			return g.do(t, http.MethodGet, "/v1/receipts?idempotency_key=k", "", "Authorization: Bearer "+good)
		},
		"cloud event": func() answer {
			return g.do(t, http.MethodPost, "/v1/events", "{"+context1+`,"data":1}`, structuredType, "Authorization: Bearer "+good)
		},
		"batch": func() answer {
			return g.do(t, http.MethodPost, "/v1/events", "[{"+context1+`,"data":1}]`, batchType, "Authorization: Bearer "+good)
		},
	} {
		require.Less(t, send().StatusCode, 300, name)
		require.Equal(t, "web", (<-seen).Client, name)
	}
}

// Whether there is an event type is not told to those who may not use it.
func TestEventTypesOfOthers(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	d, seen := recording()
	g := start(t, d, with)
	key := "Authorization: Bearer " + good
	for _, c := range []struct{ method, path, body string }{
		{http.MethodPost, "/v1/events/TYPE", "{}"},
		{http.MethodPost, "/v1/events/TYPE/v1", "{}"},
		{http.MethodPost, "/%76%31/events/TYPE", "{}"},
		{http.MethodPost, "/v1/events/TYPE?version=v9", "{}"},
		{http.MethodPost, "/v1/event-types/TYPE/validate", "{}"},
		{http.MethodGet, "/v1/event-types/TYPE", ""},
		{http.MethodGet, "/v1/event-types/TYPE/schema", ""},
		{http.MethodGet, "/openapi.json?type=TYPE", ""},
		{http.MethodPost, "/v1/events", `{"specversion":"1.0","id":"1","source":"/s","type":"TYPE","data":{}}`},
		{http.MethodPost, "/v1/events", `{"specversion":"1.0","id":"1","source":"/s","type":"TYPE","data":{},"time":"now"}`},
	} {
		t.Run(c.method+" "+c.path+" "+c.body, func(t *testing.T) {
			t.Parallel()
			var answers []string
			for _, eventType := range []string{"payments.captured", "payments.no-such", "payments%2Ecaptured", "%70ayments.captured"} {
				a := g.do(t, c.method, strings.ReplaceAll(c.path, "TYPE", eventType), strings.ReplaceAll(c.body, "TYPE", eventType), key, structuredTypeIf(c.path))
				requireRefused(t, a, event.Forbidden, "may not use")
				answers = append(answers, string(a.body))
			}
			for _, other := range answers[1:] {
				require.Equal(t, answers[0], other)
			}
		})
	}
	require.Empty(t, seen)
	requireRefused(t, g.do(t, http.MethodPost, "/v1/events/orders.no-such", "{}", key), event.UnknownEventType, "orders.placed")
}

func structuredTypeIf(path string) string {
	if path == "/v1/events" {
		return structuredType
	}
	return "Content-Type: application/json"
}

// An event that may not be published holds nothing back: that would tell of its type.
func TestForbiddenEventsOfABatch(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	d, _ := recording()
	g := start(t, d, with)
	batch := func(eventType string) string {
		one := `{"specversion":"1.0","id":"1","source":"/s","type":"` + eventType + `","data":{"paymentId":"p-1"}}`
		return "[" + one + "," + one + "]"
	}
	exists := g.do(t, http.MethodPost, "/v1/events", batch("payments.captured"), batchType, "Authorization: Bearer "+good)
	not := g.do(t, http.MethodPost, "/v1/events", batch("payments.no-such"), batchType, "Authorization: Bearer "+good)
	require.Equal(t, http.StatusMultiStatus, exists.StatusCode)
	require.Equal(t, string(exists.body), string(not.body))
	for _, each := range exists.items(t) {
		require.Equal(t, http.StatusForbidden, each.Status)
	}
}

// Pages and lists show a client what it may use, and take its key as a password.
func TestClientsSeeTheirEventTypes(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	g := start(t, accepting, with)
	browser := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+good))
	for path, header := range map[string]string{
		"/v1/event-types": "Authorization: Bearer " + good, "/openapi.json": browser, "/openapi.yaml": browser, "/asyncapi.json": browser, "/": browser,
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			a := g.do(t, http.MethodGet, path, "", header, "Accept: text/html, application/json")
			require.Equal(t, http.StatusOK, a.StatusCode, string(a.body))
			text := string(a.body)
			require.Contains(t, text, "orders.cancelled")
			if path != "/openapi.json" && path != "/openapi.yaml" { // whose hand-written examples have one
				require.NotContains(t, text, "payments.captured")
			}
			require.NotContains(t, text, "publish_payments_captured")
		})
	}
	for name, header := range map[string]string{
		"wrong password": "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("me:x")),
		"no password":    "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(good)),
		"no base64":      "Authorization: Basic %",
	} {
		a := g.do(t, http.MethodGet, "/docs", "", header)
		requireRefused(t, a, event.Unauthenticated, "")
		require.Contains(t, a.Header.Get("WWW-Authenticate"), "Basic ", name)
	}
	a := g.do(t, http.MethodGet, "/v1/event-types", "", "Authorization: Basic x")
	requireRefused(t, a, event.Unauthenticated, "Bearer")
	require.NotContains(t, a.Header.Get("WWW-Authenticate"), "Basic", "a page's script would make the browser ask for a password")
}

// An API key may come as other services take it.
func TestWaysToSendAKey(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	basic := func(text string) string {
		return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(text))
	}
	for name, c := range map[string]struct {
		headers []string
		good    bool
	}{
		"bearer":                       {[]string{"Authorization: Bearer " + good}, true},
		"X-API-Key":                    {[]string{"X-API-Key: " + good}, true},
		"x-api-key":                    {[]string{"x-api-key: " + good}, true},
		"password":                     {[]string{basic("me:" + good)}, true},
		"password without a user name": {[]string{basic(":" + good)}, true},
		"password of another name":     {[]string{basic("größer@example.com:" + good)}, true},
		"basic in small letters":       {[]string{strings.Replace(basic("me:"+good), "Basic", "basic", 1)}, true},
		"bearer beside another's key":  {[]string{"Authorization: Bearer " + good, "X-API-Key: of-a-proxy"}, true},
		"bad bearer beside a good key": {[]string{"Authorization: Bearer gwk_x", "X-API-Key: " + good}, false},
		"bad password beside a key":    {[]string{basic("me:x"), "X-API-Key: " + good}, false},
		"two keys":                     {[]string{"X-API-Key: " + good, "X-API-Key: " + good}, false},
		"two in one":                   {[]string{"X-API-Key: " + good + ", " + good}, false},
		"empty key":                    {[]string{"X-API-Key: "}, false},
		"wrong key":                    {[]string{"X-API-Key: " + good + "x"}, false},
		"key with a scheme":            {[]string{"X-API-Key: Bearer " + good}, false},
		"empty password":               {[]string{basic("me:")}, false},
		"key as the name":              {[]string{basic(good + ":")}, false},
		"no colon":                     {[]string{basic(good)}, false},
		"two passwords":                {[]string{basic("a:" + good), basic("b:" + good)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, seen := recording()
			g := start(t, d, with)
			w := g.dial(t)
			w.send(t, rawPost(strings.Join(c.headers, "\r\n"), "{}"))
			a := w.answer(t)
			if !c.good {
				requireRefused(t, a, event.Unauthenticated, "X-API-Key")
				require.Empty(t, seen)
				require.NotContains(t, g.log.String(), good)
				return
			}
			require.Equal(t, http.StatusAccepted, a.StatusCode, string(a.body))
			require.Equal(t, "web", (<-seen).Client)
		})
	}
}

func TestRefusedCallsLeaveALine(t *testing.T) {
	t.Parallel()
	with, good := withAuth(t)
	g := start(t, accepting, with)
	g.post(t, "Authorization: Bearer gwk_somebody-elses")
	require.Contains(t, g.log.String(), `"msg":"call refused","reason":"unknown-key","route":"/v1/events/:type","remote":"127.0.0.1:`)
	g.do(t, http.MethodPost, "/v1/events/payments.captured", "{}", "Authorization: Bearer "+good)
	require.Contains(t, g.log.String(), `"reason":"forbidden"`)
	require.Contains(t, g.log.String(), `"client":"web"`)
	require.NotContains(t, g.log.String(), "gwk_", "no credential is logged")
}

// A client certificate that the listener has verified is enough.
func TestCertificatesIdentify(t *testing.T) {
	t.Parallel()
	a, err := auth.New(t.Context(), auth.Config{Clients: []auth.Client{{Name: "mobile", Certificates: []string{"example.com"}, Events: []string{"*"}}}}, nil)
	require.NoError(t, err)
	pair, roots := selfSigned(t)
	d, seen := recording()
	server := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: roots, MinVersion: tls.VersionTLS12}
	g := start(t, d, func(c *Config, _ *Catalog) { c.Auth, c.TLS = a, server })
	for name, certificates := range map[string][]tls.Certificate{"shown": {pair}, "not shown": nil} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", Certificates: certificates}}
		client := http.Client{Transport: transport, Timeout: patience}
		resp, err := client.Post("https://"+g.addr+"/v1/events/orders.placed", "application/json", strings.NewReader("{}"))
		require.NoError(t, err, name)
		body := read(t, resp)
		transport.CloseIdleConnections()
		if certificates == nil {
			requireRefused(t, body, event.Unauthenticated, "")
			continue
		}
		require.Equal(t, http.StatusAccepted, body.StatusCode, string(body.body))
		require.Equal(t, "mobile", (<-seen).Client)
	}
}

// A certificate that is not good any more ends nothing but its own use, on a connection
// that stays.
func TestLapsedCertificates(t *testing.T) {
	t.Parallel()
	a, err := auth.New(t.Context(), auth.Config{Clients: []auth.Client{{Name: "mobile", Certificates: []string{"example.com"}, Events: []string{"*"}}}}, nil)
	require.NoError(t, err)
	pair, roots := selfSigned(t)
	var good atomic.Bool
	good.Store(true)
	server := &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: roots, MinVersion: tls.VersionTLS12}
	g := start(t, accepting, func(c *Config, _ *Catalog) {
		c.Auth, c.TLS = a, server
		c.TrustsClient = func(chains [][]*x509.Certificate) bool { return len(chains) == 1 && good.Load() }
	})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com", Certificates: []tls.Certificate{pair}}, MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	client := http.Client{Transport: transport, Timeout: patience}
	post := func() answer {
		resp, err := client.Post("https://"+g.addr+"/v1/events/orders.placed", "application/json", strings.NewReader("{}"))
		require.NoError(t, err)
		return read(t, resp)
	}
	require.Equal(t, http.StatusAccepted, post().StatusCode)
	good.Store(false)
	requireRefused(t, post(), event.Unauthenticated, "")
	require.Contains(t, g.log.String(), `"reason":"lapsed-certificate"`)
}

// selfSigned is a certificate of example.com, for both sides, and who vouches for it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"example.com"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
