package preflight

// Severity says what a finding means for who wants to start the gateway.
type Severity string

// Severities, from the best to the worst. Only an error makes `gateway check` fail.
const (
	OK      Severity = "ok"
	Warning Severity = "warning" // works, but the promise or the operation is weaker than it could be
	Error   Severity = "error"   // some or all events will be refused, or the promise does not hold
)

// Finding is one thing that was looked at.
type Finding struct {
	Severity Severity `json:"severity"`
	Check    string   `json:"check"`             // what was looked at, for example kafka.topic.replication
	Subject  string   `json:"subject,omitempty"` // which one, for example a topic
	What     string   `json:"what"`              // what is so, with its figures
	Do       string   `json:"do,omitempty"`      // what to do about it; empty only for OK
}
