package webhook

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// DefaultTolerance is the tolerance of a configuration without one: what most
// providers' libraries allow.
const DefaultTolerance = 5 * time.Minute

// maxNameLength bounds a source's name, in characters.
const maxNameLength = 100

// Config is one webhook source as configured.
type Config struct {
	Name   string // in the path: POST /v1/webhooks/{name}
	Scheme string // lower-case provider name: see Schemes
	// Secrets are what the provider may have signed with. Any of them will do, so
	// that they can be rotated. A scheme with public keys has the public keys here.
	Secrets []string
	// EventType is a template, "stripe.{type}", or fixed, "orders.placed".
	// Characters of {type} outside [A-Za-z0-9._-] become ".".
	EventType string
	// Tolerance is how old, or how far in the future, a signed timestamp may be; 0
	// means DefaultTolerance.
	Tolerance time.Duration
	// PublicURL is the full URL that the provider was given. Schemes that sign the
	// URL need it: the gateway may stand behind a proxy and cannot know it.
	PublicURL string
	// ID overrides where the delivery's id is: "header:X-Delivery-Id", a JSON
	// Pointer into the body, or into the item ("/id"), "body-hash", or "none": then each
	// delivery counts on its own, also one that is sent again.
	ID string
	// Type overrides where the provider's type is: "header:…" or a JSON Pointer.
	Type string
	// IDs and Types are alternatives, each of several places, instead of ID and Type. The
	// first alternative counts of which an id has all places, and a type the first place.
	IDs, Types [][]string
	// Items overrides the JSON Pointer of the array whose items are one event each.
	// "" means the scheme's, which for most is the body if it is an array; "-" means
	// that a body is always one event.
	Items string
	HMAC  *HMAC // for the scheme "hmac" only
	// Reply overrides what an accepted delivery is answered with.
	Reply *Reply
	// Challenge overrides how the provider is answered when it checks the URL. With a
	// Token only, the rest is the scheme's.
	Challenge *Challenge
}

// HMAC describes a signature for the generic scheme "hmac".
type HMAC struct {
	Header    string // for example "X-Signature"
	Prefix    string // of the header's value, or of each signature in it, for example "sha256="
	Encoding  string // "hex" (default), "base64", "base64url"
	Algorithm string // "sha256" (default), "sha1", "sha512"; "ed25519", with public keys; "token", the secret itself
	// SecretEncoding is how the secrets are written: "text" (default), "hex", "base64";
	// for ed25519 "hex" (default), "base64", or PEM whatever it says.
	SecretEncoding string
	// Separator is what is between the signatures of one header; "" is one signature, or
	// "," if there is a SignatureField.
	Separator string
	// SignatureField and TimestampField are names in a header that lists pairs:
	// "v1" and "t" of "t=1700000000,v1=5257a8…".
	SignatureField, TimestampField string
	// Signed is a template of the signed text, by default "{body}". It may contain
	// {timestamp} {id} {url} {method} {body} {header:Name}. {id} is the header that
	// Config.ID names.
	Signed    string
	Timestamp string // the header with the timestamp (Unix seconds or milliseconds, RFC 3339); "" is none
}

// New makes a source from a configuration. It reports all faults at once, each with
// the name of its field.
func New(cfg Config) (*Source, error) {
	f := &faults{}
	s := &Source{name: cfg.Name}
	if !validName(cfg.Name) {
		f.add("name", "must be 1 to %d letters, digits, \".\", \"_\" or \"-\", and not \".\" or \"..\"", maxNameLength)
	}
	if cfg.Tolerance < 0 {
		f.add("tolerance", "is negative")
	} else if cfg.Tolerance == 0 {
		cfg.Tolerance = DefaultTolerance
	}
	row, known := schemeNamed(cfg.Scheme)
	switch {
	case cfg.Scheme == "":
		f.add("scheme", "is missing; it is one of %s", strings.Join(Schemes(), ", "))
	case !known:
		f.add("scheme", "%q is unknown; it is one of %s", cfg.Scheme, strings.Join(Schemes(), ", "))
	}
	if cfg.HMAC != nil && known && row.name != genericHMAC {
		f.add("hmac", "is for the scheme \"hmac\" only; %q has its own signature", row.name)
	}
	s.eventType = parseEventType(cfg.EventType, f)
	s.reply = parseReply(cfg.Reply, row.reply, f)
	s.challenge = parseChallenge(cfg.Challenge, row.registration, f)
	secretsReady := checkSecrets(cfg.Secrets, f)
	urlReady := checkURL(cfg.PublicURL, row, f)
	if known {
		s.scheme = row
		s.places(cfg, f)
		if secretsReady && urlReady {
			s.verifier = row.verifier(cfg, f)
			s.secrets = cfg.Secrets
		}
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	return s, nil
}

func validName(name string) bool {
	if name == "" || name == "." || name == ".." || len(name) > maxNameLength {
		return false
	}
	for i := range len(name) {
		if !plainByte(name[i]) {
			return false
		}
	}
	return true
}

func checkSecrets(secrets []string, f *faults) bool {
	if len(secrets) == 0 {
		f.add("secrets", "there is none; without one anybody could send")
		return false
	}
	ok := true
	for i, secret := range secrets {
		if strings.TrimSpace(secret) == "" {
			f.add("secrets", "the %s is empty", ordinal(i))
			ok = false
		}
	}
	return ok
}

func checkURL(text string, row scheme, f *faults) bool {
	if text == "" {
		if row.signsURL {
			f.add("public_url", "is missing; %q signs the URL, so give the full URL that the provider has", row.name)
		}
		return !row.signsURL
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		f.add("public_url", "must be a full URL, as in \"https://events.example.com/v1/webhooks/shop\"")
		return false
	}
	return true
}

// faults collects what is wrong with a configuration.
type faults struct{ all []error }

func (f *faults) add(field, format string, args ...any) {
	f.all = append(f.all, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
}

func (f *faults) err() error { return errors.Join(f.all...) }

// ordinal is the English ordinal of a list index.
func ordinal(i int) string {
	names := [...]string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%dth", i+1)
}
