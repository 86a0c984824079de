package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// Challenge says how a provider checks the URL before it delivers: it sends a text, and
// expects it back.
type Challenge struct {
	// At is where the text is: "query:hub.challenge", "header:X-Challenge", of a GET, or of
	// a POST that need not be signed; or a JSON Pointer into the body of a signed POST.
	At string
	// Member is the member of a JSON object in which it is sent back; "" sends it back
	// alone, as plain text.
	Member string
	// Token is what the provider must send along, at TokenAt: "query:…" or "header:…".
	Token, TokenAt string
	tokenRequired  bool
}

const (
	queryPlace = "query:"
	// maxChallenge bounds the text, in bytes: whoever asks gets it back.
	maxChallenge = 1024
)

// challengeRule is a Challenge that is ready to use.
type challengeRule struct {
	at, tokenAt requestPlace
	pointer     strictjson.Pointer // instead of at
	member      string
	token       [sha256.Size]byte // hash: of equal length, compared in constant time
	hasToken    bool
}

// requestPlace is a parameter of the URL, or a header.
type requestPlace struct{ query, header string }

func (p requestPlace) String() string {
	if p.header != "" {
		return "the header " + p.header
	}
	return "the URL's parameter " + p.query
}

func parseRequestPlace(text string) (requestPlace, bool) {
	if name, ok := strings.CutPrefix(text, queryPlace); ok {
		return requestPlace{query: name}, name != ""
	}
	name, ok := strings.CutPrefix(text, headerPlace)
	return requestPlace{header: http.CanonicalHeaderKey(name)}, ok && validHeaderName(name)
}

// in returns the only value, "" if there is none, and reports whether there are several.
func (p requestPlace) in(r Request) (value string, several bool) {
	values := r.Header.Values(p.header)
	if p.query != "" {
		_, query, _ := strings.Cut(r.URL, "?")
		parameters, _ := url.ParseQuery(query) // what is ill-formed is not there
		values = parameters[p.query]
	}
	if len(values) == 0 {
		return "", false
	}
	return values[0], len(values) > 1
}

func parseChallenge(configured, ofScheme *Challenge, f *faults) *challengeRule {
	c := ofScheme
	if configured != nil {
		merged := *configured
		if ofScheme != nil && merged.At == "" {
			token := merged.Token
			merged = *ofScheme
			merged.Token = token
		}
		c = &merged
	}
	if c == nil {
		return nil
	}
	rule := &challengeRule{member: c.Member}
	var ok bool
	if strings.HasPrefix(c.At, "/") {
		var err error
		if rule.pointer, err = parsePointer(c.At); err != nil {
			f.add("challenge.at", "%v", err)
		}
	} else if rule.at, ok = parseRequestPlace(c.At); !ok {
		f.add("challenge.at", "%q must be \"query:name\", \"header:Name\" or a JSON Pointer", c.At)
	}
	switch {
	case c.Token == "" && c.tokenRequired:
		f.add("challenge.token", "is missing; it is what you enter beside the URL at the provider, and sent as %s", c.TokenAt)
	case c.Token == "" && c.TokenAt != "" && configured != nil && configured.TokenAt != "":
		f.add("challenge.token", "is missing; it is what the provider sends as %s", c.TokenAt)
	case c.Token != "" && c.TokenAt == "":
		f.add("challenge.token_at", "is missing; say where the provider sends the token, as in \"query:verify_token\"")
	case c.Token != "":
		if rule.tokenAt, ok = parseRequestPlace(c.TokenAt); !ok {
			f.add("challenge.token_at", "%q must be \"query:name\" or \"header:Name\"", c.TokenAt)
		}
		if rule.pointer != nil {
			f.add("challenge.token", "is not for a challenge in the body, whose signature is verified")
		}
		rule.token, rule.hasToken = sha256.Sum256([]byte(c.Token)), true
	}
	return rule
}

// Register answers a GET with which a provider checks the URL. ok is false if this
// source's provider does not do that. The error is a *Rejection (the token), or an
// *event.Error.
func (s *Source) Register(r Request) (answer *Answer, ok bool, err error) {
	if s.challenge == nil || s.challenge.pointer != nil {
		return nil, false, nil
	}
	answer, rejection := s.challenge.beforeVerification(r)
	switch {
	case rejection != nil:
		return nil, true, rejection
	case answer == nil:
		return nil, true, event.Refuse(event.MalformedRequest, "There is no challenge: it is expected once, of at most %d bytes, as %s.", maxChallenge, s.challenge.at)
	}
	return answer, true, nil
}

// beforeVerification answers a challenge in the URL or a header; nil if there is none.
func (c *challengeRule) beforeVerification(r Request) (*Answer, *Rejection) {
	if c == nil || c.pointer != nil {
		return nil, nil
	}
	text, several := c.at.in(r)
	if several || !fitsChallenge(text) {
		return nil, nil
	}
	if c.hasToken {
		token, several := c.tokenAt.in(r)
		sent := sha256.Sum256([]byte(token))
		if several || subtle.ConstantTimeCompare(sent[:], c.token[:]) == 0 {
			return nil, reject(WrongCredentials, "The token is not the configured one (challenge.token); it is expected as %s.", c.tokenAt)
		}
	}
	return c.reply(text), nil
}

// inBody answers a challenge in the body of a verified request; nil if there is none.
func (c *challengeRule) inBody(body content) *Answer {
	if c == nil || c.pointer == nil {
		return nil
	}
	if value := text(body.data, c.pointer); fitsChallenge(value) {
		return c.reply(value)
	}
	return nil
}

func fitsChallenge(text string) bool {
	return text != "" && len(text) <= maxChallenge && utf8.ValidString(text)
}

func (c *challengeRule) reply(text string) *Answer {
	if c.member == "" {
		return plainAnswer(text)
	}
	return jsonAnswer([2]string{c.member, text})
}

// jsonAnswer is an object of names and texts.
func jsonAnswer(pairs ...[2]string) *Answer {
	body := []byte{'{'}
	for i, pair := range pairs {
		if i > 0 {
			body = append(body, ',')
		}
		body = quote(append(quote(body, pair[0]), ':'), pair[1])
	}
	return &Answer{Status: http.StatusOK, ContentType: mediaJSON, Body: append(body, '}')}
}
