package api

import (
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics of the public listener. The route label is a route's pattern, never
// a raw path; it is empty for what matched no route.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	rejected *prometheus.CounterVec
	refused  *prometheus.CounterVec
	// unconnected are connections that were closed at once.
	unconnected *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		unconnected: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_http_connections_refused_total", Help: "Connections that were closed at once, by the limit that they were over.",
		}, []string{"limit"}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_refused_calls_total", Help: "Calls without valid credentials, or for an event type that the client may not use, by reason.",
		}, []string{"reason"}),
		rejected: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_webhook_rejections_total", Help: "Webhook deliveries that were not believed, by source and reason.",
		}, []string{"source", "reason"}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_http_requests_total", Help: "Requests by route and status.",
		}, []string{"route", "status"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gateway_http_request_duration_seconds", Help: "Time from the whole request to its answer, by route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"route"}),
	}
	for _, limit := range []string{tooMany, tooManyPerAddress} {
		m.unconnected.WithLabelValues(limit)
	}
	return m
}

// observeIntake shows what the intake holds at the moment.
func (s *Server) observeIntake(reg prometheus.Registerer) {
	f := promauto.With(reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_http_body_bytes", Help: "Bytes of request bodies that are admitted, of http.in_flight_limit.",
	}, func() float64 { return float64(s.admission.held.Load()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_http_connections", Help: "Open connections of the public listener.",
	}, func() float64 { return float64(s.connections.count()) })
}

// observe counts a request, and turns a panic into a 500.
func (s *Server) observe(c *fiber.Ctx) (err error) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("handler panicked", "panic", p, "stack", string(debug.Stack()))
			err = s.writeProblem(c, failure(c, nil), hasKey(c))
		}
		route := c.Route().Path
		if route == "/" { // this middleware's own: nothing else matched
			route = ""
		}
		s.metrics.requests.WithLabelValues(route, statusLabel(c.Response().StatusCode())).Inc()
		if b := bodyOf(c); b != nil && !b.arrived.IsZero() { // the client's time is not the gateway's
			start = b.arrived
		}
		s.metrics.duration.WithLabelValues(route).Observe(time.Since(start).Seconds())
	}()
	if err := c.Next(); err != nil {
		return s.writeProblem(c, s.problemOf(c, err), hasKey(c))
	}
	return nil
}

// statusLabels spares the common statuses an allocation.
var statusLabels = map[int]string{200: "200", 202: "202", 400: "400", 404: "404", 409: "409", 422: "422", 503: "503", 504: "504"}

func statusLabel(status int) string {
	if l, ok := statusLabels[status]; ok {
		return l
	}
	return strconv.Itoa(status)
}
