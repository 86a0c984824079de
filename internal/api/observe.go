package api

import (
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"eventgateway/internal/intake"
)

// metrics of the public listener. The route label is a route's pattern, never
// a raw path; it is empty for what matched no route.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	rejected *prometheus.CounterVec
	refused  *prometheus.CounterVec
	// unconnected counts connections that were closed at once.
	unconnected *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		unconnected: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_http_connections_refused_total", Help: "Connections that were closed at once, by the limit that they were over.",
		}, []string{"limit"}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_refused_calls_total", Help: "Calls without valid credentials, for an event type that the client may not use, by the name of another host, or beyond the rate of their address, by reason.",
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
	for _, limit := range []string{intake.TooManyConnections, intake.TooManyPerAddress} {
		m.unconnected.WithLabelValues(limit)
	}
	return m
}

// observeIntake shows what the intake holds now.
func (s *Server) observeIntake(reg prometheus.Registerer) {
	f := promauto.With(reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_http_body_bytes", Help: "Bytes that requests hold, of http.in_flight_limit: bodies, what is made of them, and answers.",
	}, func() float64 { return float64(s.budget.Held()) })
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_checks_waiting", Help: "Events that wait for memory, or for their turn to be checked.",
	}, func() float64 { return float64(s.budget.Waiting()) })
	for reason, count := range map[string]func() uint64{
		"memory": func() uint64 { memory, _ := s.budget.Refused(); return memory },
		"slots":  func() uint64 { _, slots := s.budget.Refused(); return slots },
	} {
		f.NewCounterFunc(prometheus.CounterOpts{
			Name: "gateway_overloaded_total", Help: "How often a request found no memory, or an event no turn in time, and was refused or answered more briefly.",
			ConstLabels: prometheus.Labels{"reason": reason},
		}, func() float64 { return float64(count()) })
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gateway_http_connections", Help: "Open connections of the public listener.",
	}, func() float64 { return float64(s.intake.OpenConnections()) })
}

// observe makes the request's state, answers the error that a handler returned, and
// counts. It is the only place that turns errors into answers.
func (s *Server) observe(c *fiber.Ctx) error {
	seen, x := time.Now(), s.exchanges.begin(c)
	defer s.exchanges.end(x)
	err := s.next(c, x)
	if err != nil {
		s.allowDelete(c)
		refused := s.site.suggest(c, problemOf(c, x, err))
		if err = s.reporter.write(c, refused, x.keyed); err == nil {
			err = s.countAnswer(c, x, refused)
		}
	} else {
		err = s.countAnswer(c, x, nil)
	}
	cacheHeaders(c, x)
	route := c.Route().Path
	if route == "/" { // this middleware's own: no other route matched
		route = ""
	}
	s.metrics.requests.WithLabelValues(route, statusLabel(c.Response().StatusCode())).Inc()
	s.metrics.duration.WithLabelValues(route).Observe(time.Since(x.began(seen)).Seconds())
	return err
}

// next calls the handlers and turns a panic into an error.
func (s *Server) next(c *fiber.Ctx, x *exchange) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.logger.Error("handler panicked", "panic", p, "stack", string(debug.Stack()))
			err = x.failure(nil)
		}
	}()
	return c.Next()
}

// statusLabels spares an allocation for the common statuses.
var statusLabels = map[int]string{200: "200", 202: "202", 400: "400", 404: "404", 409: "409", 422: "422", 503: "503", 504: "504"}

func statusLabel(status int) string {
	if l, ok := statusLabels[status]; ok {
		return l
	}
	return strconv.Itoa(status)
}
