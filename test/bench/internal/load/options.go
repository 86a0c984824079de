package load

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Options say what to send where. Rate 0 means closed loop.
type Options struct {
	Address     string   // host:port, loopback
	EventTypes  []string // names of the same length; each connection sends to one after the other
	Batch       int      // events in a request, as CloudEvents; 0: one, as plain data
	Body        []byte   // an event's data
	OrderIDAt   int      // where in Body the id of idLen characters goes
	Key         string   // API key of the client; "": none is sent
	Run         uint32
	Connections int
	Rate        float64 // requests per second over all connections
	WarmUp      time.Duration
	Duration    time.Duration
	ServerPID   int // whose CPU time and memory are read
}

// Validate reports every bad option at once.
func (o Options) Validate() error {
	var errs []error
	if o.Connections < 1 || o.Connections > 0xffff {
		errs = append(errs, fmt.Errorf("connections: %d is not in 1 to 65535", o.Connections))
	}
	if o.Rate < 0 || o.Rate > 1e6 {
		errs = append(errs, fmt.Errorf("rate: %v is not in 0 to 1,000,000 per second", o.Rate))
	}
	if o.Batch < 0 || o.Batch > 1000 {
		errs = append(errs, fmt.Errorf("batch: %d is not in 0 to 1,000", o.Batch))
	}
	if len(o.EventTypes) == 0 || slices.ContainsFunc(o.EventTypes, func(t string) bool { return t == "" || len(t) != len(o.EventTypes[0]) }) {
		errs = append(errs, errors.New("event types: give one or more, with names of the same length"))
	}
	if o.WarmUp < 0 || o.Duration <= 0 {
		errs = append(errs, errors.New("duration must be positive, warm-up not negative"))
	}
	if o.OrderIDAt < 0 || o.OrderIDAt+idLen > len(o.Body) {
		errs = append(errs, errors.New("body has no room for the order id"))
	}
	return errors.Join(errs...)
}

// Result is what one run of the generator saw. Times in seconds, latencies in
// microseconds, memory in bytes.
type Result struct {
	Connections int     `json:"connections"`
	Rate        float64 `json:"rate,omitempty"`
	Batch       int     `json:"batch,omitempty"` // events in a request; 0: one
	Seconds     float64 `json:"seconds"`         // the measured window, as it really was
	Throughput  float64 `json:"throughput"`
	Latency     Latency `json:"latency_us"` // of a request
	// SendDelay is how late the generator sent, open loop only. It is part of Latency,
	// and shows how much of it a busy generator caused.
	SendDelay *Latency `json:"send_delay_us,omitempty"`

	CPUPerEvent          float64 `json:"cpu_us_per_event"`
	CPUCores             float64 `json:"cpu_cores"`
	GeneratorCPUPerEvent float64 `json:"generator_cpu_us_per_event"`
	Resident             int64   `json:"resident_bytes"`
	PeakResident         int64   `json:"peak_resident_bytes"`

	// What the server has at the end, and the CPU of the link between it and its
	// services. Whoever started them fills these in.
	Threads          int     `json:"threads"`
	KafkaConnections int     `json:"kafka_connections"`
	RedisConnections int     `json:"redis_connections"`
	LinkCPUPerEvent  float64 `json:"link_cpu_us_per_event,omitempty"`

	// In events, over the whole run, warm-up and tail included.
	Acknowledged uint64            `json:"acknowledged"`
	Unsent       uint64            `json:"unsent"`
	Failures     map[string]uint64 `json:"failures,omitempty"` // by status or kind of error
	Samples      map[string]string `json:"samples,omitempty"`  // the first text of each failure
}

// Latency holds quantiles in microseconds; Max is exact.
type Latency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// FailureShare is the share of events that were not acknowledged.
func (r Result) FailureShare() float64 {
	failed := r.Unsent
	for _, n := range r.Failures {
		failed += n
	}
	if failed == 0 {
		return 0
	}
	return float64(failed) / float64(failed+r.Acknowledged)
}
