package webhook

import (
	"fmt"
	"math"
	"net/http"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// Source is one third party whose deliveries can be received. It never changes and
// is safe for concurrent use.
type Source struct {
	name      string
	scheme    scheme
	verifier  verifier
	eventType eventTypeTemplate
	id        []compound // the first that is found counts
	typ       []compound
	pointers  []strictjson.Pointer // of id and typ
	ownType   bool                 // Config does not override where the type is
	joined    bool                 // the places of a type are parts, of which all but the first may be missing
	unnamed   bool                 // deliveries have no id
	items     *itemsRule           // nil: never
	reply     *Reply               // nil: the receipt
	challenge *challengeRule       // nil: the provider does not check the URL by GET
	secrets   []string
}

// Request is a delivery as it arrived.
type Request struct {
	Method string
	URL    string      // path and query as received
	Header http.Header // canonical names, every value in order
	Body   []byte      // raw
	// Limit is how many bytes the JSON may have that a form becomes; 0: any number.
	Limit int
}

// Intake says what to do with a verified request: answer it, or publish its
// deliveries, of which there is at least one.
type Intake struct {
	Answer     *Answer // challenge or ping: answer this, publish nothing
	Deliveries []Delivery
}

// Answer is a response that the provider expects.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// Delivery is one event.
type Delivery struct {
	// ID is repeated by a redelivery and unique within the source; "" if redeliveries
	// cannot be recognised (Config.ID "none").
	ID string
	// EventType is the mapped name; "" if the provider's type could not be found.
	EventType string
	// Data is the JSON to publish; any bytes if there is an Err.
	Data []byte
	// MediaType is "application/json", or application/*+json as sent; any if there
	// is an Err.
	MediaType string
	// Err says why it cannot be published as it is; nil otherwise.
	Err *event.Error
}

// verifier knows a source's secrets.
type verifier interface {
	// verify returns nil if r is from somebody who knows one of the secrets.
	verify(r Request, now time.Time) *Rejection
	// sign changes r so that verify returns nil.
	sign(r *Request, id string, now time.Time) error
}

// Receive verifies r and says what to do with it. The error is a *Rejection or, for
// a verified body beyond the limits, an *event.Error.
func (s *Source) Receive(r Request, now time.Time) (Intake, error) {
	if answer, rejection := s.challenge.beforeVerification(r); rejection != nil {
		return Intake{}, rejection
	} else if answer != nil {
		return Intake{Answer: answer}, nil
	}
	if rejection := s.verify(r, now); rejection != nil {
		return Intake{}, rejection
	}
	c, tooMuch := s.read(r)
	if tooMuch != nil {
		return Intake{}, tooMuch
	}
	if answer := s.answer(c, r, now); answer != nil {
		return Intake{Answer: answer}, nil
	}
	return s.deliveries(c)
}

// verify checks the signature, and that the headers with the id and the type are not
// repeated.
func (s *Source) verify(r Request, now time.Time) *Rejection {
	if rejection := s.verifier.verify(r, now); rejection != nil {
		return rejection
	}
	for _, choices := range [][]compound{s.id, s.typ} {
		for _, choice := range choices {
			for _, part := range choice {
				if part.header != "" && len(r.Header.Values(part.header)) > 1 {
					return repeated(part.header)
				}
			}
		}
	}
	return nil
}

// Sign sets the headers of r, or the members of its body, that depend on the secret,
// the time and the id, as the provider would. The id is ignored where a scheme has it
// in the body. Schemes whose secrets are public keys cannot sign; the error says so.
func (s *Source) Sign(r *Request, id string, now time.Time) error {
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if err := s.verifier.sign(r, id, now); err != nil {
		return fmt.Errorf("sign for %s (%s): %w", s.name, s.scheme.name, err)
	}
	if id != "" && len(s.id) > 0 && len(s.id[0]) == 1 && s.id[0][0].header != "" {
		r.Header.Set(s.id[0][0].header, id)
	}
	return nil
}

// answer answers a verified request that is not an event; nil if it is one.
func (s *Source) answer(c content, r Request, now time.Time) *Answer {
	if c.fault != nil {
		return nil
	}
	if s.scheme.answer != nil {
		if answer := s.scheme.answer(c); answer != nil {
			return answer
		}
	}
	if s.scheme.prove != nil && s.scheme.asksForProof(c) {
		return s.scheme.prove(c, s.secretOf(r, now))
	}
	return s.challenge.inBody(c)
}

// secretOf returns the secret that a verified request is signed with: during a rotation,
// the provider expects to be answered with that one.
func (s *Source) secretOf(r Request, now time.Time) string {
	for _, secret := range s.secrets {
		one := s.scheme.verifier(Config{Secrets: []string{secret}, Tolerance: math.MaxInt64}, &faults{})
		if one != nil && one.verify(r, now) == nil {
			return secret
		}
	}
	return ""
}

// CredentialHeader is the header in which the secret itself is sent, "" if there is none:
// it must not be kept.
func (s *Source) CredentialHeader() string {
	switch v := s.verifier.(type) {
	case *credentials:
		return v.header
	case *gitlab:
		return gitlabToken
	}
	return ""
}

// Challenge is the WWW-Authenticate value of a 401.
func (s *Source) Challenge() string {
	kind := s.scheme.challenge
	if kind == "" {
		kind = "Signature"
	}
	return fmt.Sprintf("%s realm=%q", kind, s.name)
}
