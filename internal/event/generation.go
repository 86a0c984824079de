package event

import "time"

// Generation is one state of the claims in Redis: each rebuild from the log begins
// another, with the next number. Numbers begin at 1; 0 is none.
type Generation struct {
	Number uint64
	Raised time.Time // by the clock of the gateway that raised it
}

// Gateway is a registered gateway process.
type Gateway struct {
	ID      string // of the process, not of the host
	Host    string
	Renewed time.Time // when it last renewed its registration, by its clock
}
