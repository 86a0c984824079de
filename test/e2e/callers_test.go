//go:build integration

package e2e

import (
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCallersDialects: what browsers, balancers and other services' clients bring along,
// with the whole configuration behind it.
func TestCallersDialects(t *testing.T) {
	key, hash := newKey(t)
	clients := []any{map[string]any{"name": "web", "keys": []any{map[string]any{"hash": hash}}, "events": []string{"orders.*"}}}
	o := options{auth: map[string]any{"clients": clients}, schemas: schemasFolder(t, eventType{name: "orders.placed", xevent: map[string]any{"topic": newTopic(t)}})}
	cfg := o.config(t)
	inSection("http", "idle_timeout", "700ms")(cfg)
	inSection("http", "cors", map[string]any{"origins": []string{"capacitor://localhost"}, "headers": []string{"X-Tenant-Id"}})(cfg)
	g := startConfigured(t, o, writeConfig(t, cfg))
	c := newClient(t, g.addr, 4)
	body := newOrder(unique("dialects"), 1).body

	for name, header := range map[string]map[string]string{
		"X-API-Key": {"X-API-Key": key}, "a password": {"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("any:"+key))},
	} {
		header["Content-Type"] = "application/json; charset=utf8"
		header["ce-tracestate"] = ""
		a := c.mustSend(t, post{eventType: "orders%2Eplaced", body: body, header: header})
		require.Equal(t, http.StatusAccepted, a.status, "%s: %s", name, a.body)
	}
	a := c.mustSend(t, post{eventType: "payments%2Ecaptured", body: body, header: map[string]string{"X-API-Key": key}})
	a.mustBe(t, http.StatusForbidden, "forbidden", "not-written")
	a = c.mustSend(t, post{eventType: "orders.placed", body: body, header: map[string]string{"X-API-Key": key, "X-Idempotency-Key": "k"}})
	require.Contains(t, a.mustBe(t, http.StatusBadRequest, "malformed-request", "not-written").Detail, "Idempotency-Key")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, "http://"+g.addr+"/v1/events/orders.placed", http.NoBody)
	require.NoError(t, err)
	a = c.do(t, req, map[string]string{
		"Origin": "capacitor://localhost", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "baggage,sentry-trace,traceparent,x-tenant-id,x-other",
	})
	require.Equal(t, "capacitor://localhost", a.header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, "baggage, sentry-trace, traceparent, x-tenant-id", a.header.Get("Access-Control-Allow-Headers"))

	requireClosedWhenIdle(t, g.addr)
}

// requireClosedWhenIdle requires that a connection ends http.idle_timeout after its request,
// long before the default of two minutes.
func requireClosedWhenIdle(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patient)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patient)))
	_, err = io.WriteString(conn, "GET /problems HTTP/1.1\r\nHost: gateway\r\n\r\n")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, conn)
	require.True(t, err == nil || !errors.Is(err, net.ErrClosed) && !isTimeout(err), "the gateway closes it: %v", err)
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}
