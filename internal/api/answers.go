package api

import (
	"net"
	"sync"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/budget"
	"eventgateway/internal/event"
)

const (
	// smallAnswer, in bytes, is what an answer may have without being counted: most have
	// less than a kilobyte.
	smallAnswer = 16 << 10
	// ownerShare of the budget is what one client's answers may hold until it has read them.
	ownerShare = 8
	// shortList is how many violations are listed where there is no room for all.
	shortList = 10
)

// answers counts the bytes of large answers, in all and by client, from before they are
// handed over until they are read, or their connection is closed. How long a client may
// take to read one is bounded by intake.Limits.WriteTimeout.
type answers struct {
	budget *budget.Budget
	share  int64 // bytes that one client's answers may hold

	mu      sync.Mutex
	byOwner map[string]int64
}

func newAnswers(b *budget.Budget) *answers {
	return &answers{budget: b, share: max(smallAnswer, b.Limit()/ownerShare), byOwner: map[string]int64{}}
}

// unread reports whether a client's answers hold as much as they may.
func (a *answers) unread(owner string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.byOwner[owner] >= a.share
}

// take counts an answer of n bytes if it fits, or if force says that it must be given.
func (a *answers) take(owner string, n int64, force bool) (*answerHold, bool) {
	switch {
	case force:
		a.budget.Force(n)
	case a.unread(owner) || !a.budget.TakeLarge(n):
		return nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.byOwner[owner] += n
	return &answerHold{answers: a, owner: owner, bytes: n}, true
}

// answerHold is one answer that is counted.
type answerHold struct {
	answers *answers
	owner   string
	bytes   int64
}

type answerKey struct{} // of an *answerHold, in a request's user values

// Close gives the bytes back. fasthttp calls it when the answer has been written, or the
// connection has failed: it closes what it finds among a request's user values.
func (h *answerHold) Close() error {
	a := h.answers
	a.budget.Give(h.bytes)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byOwner[h.owner] -= h.bytes; a.byOwner[h.owner] <= 0 {
		delete(a.byOwner, h.owner)
	}
	return nil
}

// owner is whose answer it is: the client's, or without one that of the address.
func (s *Server) owner(c *fiber.Ctx, x *exchange) string {
	if x.caller != nil && s.access.auth != nil {
		return "client " + x.caller.Name
	}
	address := s.access.addresses.client(c)
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// mayAnswer refuses a call whose answer may be large to a client that does not read its
// answers.
func (s *Server) mayAnswer(c *fiber.Ctx) error {
	if s.answers.unread(s.owner(c, exchangeOf(c))) {
		return event.Refuse(event.Overloaded, "The answers that this client has not read hold as many bytes as they may, %d. Read them, then send this again.", s.answers.share)
	}
	return nil
}

// countAnswer counts the answer that was made of err, nil for none, if it is large. If
// there is no room for it, the answer becomes a shorter one; but not if an event may have
// been written: then the caller gets to know.
func (s *Server) countAnswer(c *fiber.Ctx, x *exchange, err error) error {
	size := len(c.Response().Body())
	if size <= smallAnswer || x.shared {
		return nil
	}
	var refused *event.Error
	if err != nil {
		refused = problemOf(c, x, err)
	}
	must := x.uncertain && (refused == nil || refused.Outcome != event.NotWritten)
	hold, ok := s.answers.take(s.owner(c, x), int64(size), must)
	if ok {
		c.Context().SetUserValue(answerKey{}, hold)
		return nil
	}
	if refused == nil {
		return s.reporter.write(c, s.answers.budget.Full(), x.keyed)
	}
	short := *refused
	short.Err = nil // logged already
	short.Violations = short.Violations[:min(shortList, len(short.Violations))]
	return s.reporter.write(c, &short, x.keyed)
}
