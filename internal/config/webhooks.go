package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Webhook is one third party that posts to /v1/webhooks/<name>. This package checks
// only part of it: internal/webhook has the schemes and checks the rest.
type Webhook struct {
	Name            string            `yaml:"name"`
	Scheme          string            `yaml:"scheme"`
	Secrets         []Secret          `yaml:"secrets"` // any of them may have signed
	EventType       string            `yaml:"event_type"`
	Key             EntityKey         `yaml:"key"`
	OnInvalid       OnInvalid         `yaml:"on_invalid"`
	DeadLetterTopic string            `yaml:"dead_letter_topic"`
	PublicURL       string            `yaml:"public_url"` // where the scheme signs the URL
	Tolerance       time.Duration     `yaml:"tolerance"`  // of signed timestamps
	ID              Places            `yaml:"id"`         // overrides where the scheme has it
	Type            Places            `yaml:"type"`
	Items           string            `yaml:"items"`
	HMAC            *WebhookHMAC      `yaml:"hmac"`      // for the scheme hmac only
	Answer          *WebhookAnswer    `yaml:"answer"`    // nil: the scheme's
	Challenge       *WebhookChallenge `yaml:"challenge"` // nil: the scheme's
}

// WebhookAnswer is what an accepted delivery is answered with.
type WebhookAnswer struct {
	Status      int        `yaml:"status"`
	ContentType string     `yaml:"content_type"`
	Body        AnswerBody `yaml:"body"` // if it is not Given, the receipt
}

// AnswerBody is a text that may be empty.
type AnswerBody struct {
	Given bool
	Text  string
}

// UnmarshalText reads the body.
func (b *AnswerBody) UnmarshalText(text []byte) error {
	*b = AnswerBody{Given: true, Text: string(text)}
	return nil
}

// WebhookChallenge says how the provider checks the URL.
type WebhookChallenge struct {
	At      string `yaml:"at"`
	Member  string `yaml:"member"`
	Token   Secret `yaml:"token"`
	TokenAt string `yaml:"token_at"`
}

// Places say where a text of a delivery is: alternatives, the first of which counts that
// is there, each of several parts.
type Places [][]string

// WebhookHMAC describes a signature for the scheme hmac.
type WebhookHMAC struct {
	Header    string `yaml:"header"`
	Prefix    string `yaml:"prefix"`
	Encoding  string `yaml:"encoding"`
	Algorithm string `yaml:"algorithm"`
	Signed    string `yaml:"signed"`
	Timestamp string `yaml:"timestamp"`

	SecretEncoding string `yaml:"secret_encoding"`
	Separator      string `yaml:"separator"`
	SignatureField string `yaml:"signature_field"`
	TimestampField string `yaml:"timestamp_field"`
}

// EntityKey says where a source's events have their entity key: in each part at the first
// of its JSON Pointers at which there is one, or nowhere (null, no parts). If it is not
// Given, the event type says where.
type EntityKey struct {
	Given    bool
	Parts    [][]string
	Optional bool // without a key at any pointer of the only part there is no entity
}

// OnInvalid says what happens to a delivery that is verified but does not fit its
// schema.
type OnInvalid string

// Reject answers with the problem; dead-letter writes the delivery to its own topic.
const (
	OnInvalidReject     OnInvalid = "reject"
	OnInvalidDeadLetter OnInvalid = "dead-letter"
)

// deadLetterPrefix begins the default name of a dead-letter topic.
const deadLetterPrefix = "webhooks."

// withDefaults is implemented by items of lists whose defaults are not all zero.
type withDefaults interface{ setDefaults() }

func (w *Webhook) setDefaults() { *w = newWebhook() }

func newWebhook() Webhook {
	return Webhook{OnInvalid: OnInvalidDeadLetter, Tolerance: 5 * time.Minute}
}

// DeadLetters returns the topic for deliveries that do not fit, "" if they are rejected.
func (w Webhook) DeadLetters() string {
	switch {
	case w.OnInvalid != OnInvalidDeadLetter:
		return ""
	case w.DeadLetterTopic != "":
		return w.DeadLetterTopic
	}
	return deadLetterPrefix + w.Name + ".dead-letter"
}

var (
	sourceName = regexp.MustCompile(`^[A-Za-z0-9_-]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?$`)
	topicName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`)
)

func (v validator) webhooks() {
	first := map[string]int{}
	for i, w := range v.c.Webhooks {
		at := fmt.Sprintf("webhooks[%d]", i)
		shown := v.show(at+".name", w.Name)
		v.check(sourceName.MatchString(w.Name), at+".name", shown+" cannot be the end of a path",
			"write 1 to 100 letters, digits, dots, underscores and hyphens, for example stripe")
		other, taken := first[w.Name]
		v.check(!taken, at+".name", shown+" is the name of another source", fmt.Sprintf("give each its own; webhooks[%d] has it too", other))
		if !taken {
			first[w.Name] = i
		}
		v.webhook(at, w)
	}
}

func (v validator) webhook(at string, w Webhook) {
	v.check(w.EventType != "", at+".event_type", "is missing", "write for example "+w.example()+".{type}, or the name of one event type")
	oneOf(v, at+".on_invalid", w.OnInvalid, OnInvalidReject, OnInvalidDeadLetter)
	v.check(w.DeadLetterTopic == "" || topicName.MatchString(w.DeadLetterTopic) && w.DeadLetterTopic != "." && w.DeadLetterTopic != "..",
		at+".dead_letter_topic", v.show(at+".dead_letter_topic", w.DeadLetterTopic)+" is not a Kafka topic name", "write 1 to 249 letters, digits, dots, underscores and hyphens")
	v.check(w.DeadLetterTopic == "" || w.OnInvalid != OnInvalidReject, at+".dead_letter_topic", "is given, but on_invalid is reject", "remove one of them")
	v.check(w.Tolerance > 0 && w.Tolerance <= 24*time.Hour, at+".tolerance", "must be more than 0 and at most 24h", "write for example 5m")
	var pointers []string
	for _, part := range w.Key.Parts {
		pointers = append(pointers, part...)
		v.check(len(part) > 0, at+".key", "has a part without a place", "name one, for example /data/object/id")
	}
	for _, pointer := range pointers {
		v.check(strings.HasPrefix(pointer, "/"), at+".key", v.show(at+".key", pointer)+" is not a JSON Pointer", "write for example /data/object/id, or null for no entity")
	}
	v.check(len(slices.Compact(slices.Sorted(slices.Values(pointers)))) == len(pointers), at+".key", "names a place twice", "name each once")
	v.check(!w.Key.Optional || len(w.Key.Parts) == 1, at+".key", "has a null beside other parts", "put the null last in the first_of that is the whole key")
}

func (w Webhook) example() string {
	if w.Name == "" {
		return "stripe"
	}
	return w.Name
}

// firstOf is the key of a mapping with alternatives.
const firstOf = "first_of"

// decodeNode reads a JSON Pointer, a list of parts, each of which may be first_of a list
// of pointers, or null.
func (k *EntityKey) decodeNode(d *decoder, path string, n *yaml.Node) {
	key := EntityKey{Given: true}
	d.cfg.origins[path] = origin{source: d.at(n)}
	switch {
	case isNull(n):
	case n.Kind == yaml.SequenceNode:
		for i, node := range n.Content {
			key.part(d, fmt.Sprintf("%s[%d]", path, i), node)
		}
	default:
		key.part(d, path, n)
	}
	*k = key
}

// part reads one part of the key.
func (k *EntityKey) part(d *decoder, path string, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		if text, o, ok := d.text(path, n, false); ok {
			k.Parts = append(k.Parts, []string{text})
			d.cfg.origins[path] = o
		}
		return
	}
	d.firstOf(path, n, func(at string, node *yaml.Node, last bool, part *[]string) {
		if isNull(node) && last {
			k.Optional = true
			return
		}
		if text, o, ok := d.text(at, node, false); ok {
			*part = append(*part, text)
			d.cfg.origins[at] = o
		}
	}, &k.Parts)
}

// firstOf reads a mapping {first_of: [...]}, whose items read puts into a part.
func (d *decoder) firstOf(path string, n *yaml.Node, read func(at string, node *yaml.Node, last bool, part *[]string), parts *[][]string) {
	d.pairs(path, n, func(name string, key, node *yaml.Node) {
		at := join(path, shownKey(name))
		switch {
		case name != firstOf:
			problem, fix := unknownKey(at, name, []string{firstOf})
			d.errs.add(at, d.at(key), problem, fix)
		case node.Kind != yaml.SequenceNode || len(node.Content) == 0:
			d.errs.add(at, d.at(node), "is "+kindName(node)+", not a list of places", "write for example {first_of: [/a, /b]}")
		default:
			var part []string
			for i, item := range node.Content {
				read(fmt.Sprintf("%s[%d]", at, i), item, i == len(node.Content)-1, &part)
			}
			*parts = append(*parts, part)
		}
	})
}

// decodeNode reads a place, a list of places that are parts, or {first_of: [...]} of
// places and such lists.
func (p *Places) decodeNode(d *decoder, path string, n *yaml.Node) {
	d.cfg.origins[path] = origin{source: d.at(n)}
	if n.Kind != yaml.MappingNode {
		if parts := d.places(path, n); n.Kind == yaml.SequenceNode || len(parts) == 1 && parts[0] != "" { // "" is the scheme's
			*p = Places{parts}
		}
		return
	}
	var unused [][]string
	d.firstOf(path, n, func(at string, node *yaml.Node, _ bool, _ *[]string) {
		*p = append(*p, d.places(at, node))
	}, &unused)
}

// places reads a place, or a list of them.
func (d *decoder) places(path string, n *yaml.Node) (parts []string) {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		nodes = n.Content
	}
	for i, node := range nodes {
		at := path
		if n.Kind == yaml.SequenceNode {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		if text, o, ok := d.text(at, node, false); ok {
			parts = append(parts, text)
			if d.cfg.origins[at] = o; o.hidden {
				d.cfg.origins[path] = o // what is shown of the whole must not show it either
			}
		}
	}
	return parts
}
