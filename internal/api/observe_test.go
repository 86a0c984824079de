package api

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// counted is the number of requests by "route status".
func (g *gateway) counted(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := g.registry.Gather()
	require.NoError(t, err)
	counts := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "gateway_http_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			counts[labels["route"]+" "+labels["status"]] = m.GetCounter().GetValue()
		}
	}
	return counts
}

func TestStrangersDoNotMakeLabels(t *testing.T) {
	t.Parallel()
	g := start(t, accepting, withBodyLimit(kib))
	for i := range 5 {
		g.do(t, http.MethodGet, fmt.Sprintf("/random/%d", i), "")
		g.do(t, http.MethodGet, fmt.Sprintf("/v1/event-types/random%d", i), "")
		g.do(t, http.MethodPost, fmt.Sprintf("/v1/events/random%d", i), "{}")
		g.do(t, http.MethodDelete, fmt.Sprintf("/v1/events/random%d", i), "")
		for _, request := range []string{
			fmt.Sprintf("BREW%d /v1/events/orders.placed HTTP/1.1\r\nHost: gateway\r\n\r\n", i),
			fmt.Sprintf("POST /v1/events/large%d HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1025\r\n\r\n", i),
		} {
			w := g.dial(t)
			w.send(t, request)
			w.answer(t)
		}
	}
	require.Equal(t, map[string]float64{
		" 404":                      5,
		" 405":                      10,
		"/v1/event-types/:type 404": 5,
		"/v1/events/:type 404":      10,
	}, g.counted(t))
}

func TestRequestsAreCountedOnce(t *testing.T) {
	t.Parallel()
	g := start(t, accepting)
	g.post(t)
	g.do(t, http.MethodGet, "/problems/internal", "")
	g.do(t, http.MethodHead, "/openapi.yaml", "")
	require.Equal(t, map[string]float64{"/v1/events/:type 202": 1, "/problems/:slug 200": 1, "/openapi.yaml 200": 1}, g.counted(t))
}

func TestPanicsAreCounted(t *testing.T) {
	t.Parallel()
	g := start(t, failing(nil), withCatalog(panicking{}))
	g.do(t, http.MethodGet, "/v1/event-types", "")
	require.Equal(t, map[string]float64{"/v1/event-types 500": 1}, g.counted(t))
}
