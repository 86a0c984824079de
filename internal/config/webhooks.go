package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Webhook is one third party that posts to /v1/webhooks/<name>. This package checks
// only part of it: internal/webhook has the schemes and checks the rest.
type Webhook struct {
	Name            string        `yaml:"name"`
	Scheme          string        `yaml:"scheme"`
	Secrets         []Secret      `yaml:"secrets"` // any of them may have signed
	EventType       string        `yaml:"event_type"`
	Key             EntityKey     `yaml:"key"`
	OnInvalid       OnInvalid     `yaml:"on_invalid"`
	DeadLetterTopic string        `yaml:"dead_letter_topic"`
	PublicURL       string        `yaml:"public_url"` // where the scheme signs the URL
	Tolerance       time.Duration `yaml:"tolerance"`  // of signed timestamps
	ID              string        `yaml:"id"`         // overrides where the scheme has it
	Type            string        `yaml:"type"`
	Items           string        `yaml:"items"`
	HMAC            *WebhookHMAC  `yaml:"hmac"` // for the scheme hmac only
}

// WebhookHMAC describes a signature for the scheme hmac.
type WebhookHMAC struct {
	Header    string `yaml:"header"`
	Prefix    string `yaml:"prefix"`
	Encoding  string `yaml:"encoding"`
	Algorithm string `yaml:"algorithm"`
	Signed    string `yaml:"signed"`
	Timestamp string `yaml:"timestamp"`
}

// EntityKey says where a source's events have their entity key: at JSON Pointers, or
// nowhere (null). If it is not Given, the event type says where.
type EntityKey struct {
	Given    bool
	Pointers []string
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
	for _, pointer := range w.Key.Pointers {
		v.check(strings.HasPrefix(pointer, "/"), at+".key", v.show(at+".key", pointer)+" is not a JSON Pointer", "write for example /data/object/id, or null for no entity")
	}
	v.check(len(slices.Compact(slices.Sorted(slices.Values(w.Key.Pointers)))) == len(w.Key.Pointers), at+".key", "names a place twice", "name each once")
}

func (w Webhook) example() string {
	if w.Name == "" {
		return "stripe"
	}
	return w.Name
}

// decodeNode reads a JSON Pointer, a list of them, or null.
func (k *EntityKey) decodeNode(d *decoder, path string, n *yaml.Node) {
	key := EntityKey{Given: true}
	switch {
	case isNull(n):
		d.cfg.origins[path] = origin{source: d.at(n)}
	case n.Kind == yaml.SequenceNode:
		d.list(path, n, reflect.ValueOf(&key.Pointers).Elem())
	default:
		text, o, ok := d.text(path, n, false)
		if !ok {
			return
		}
		key.Pointers = []string{text}
		d.cfg.origins[path] = o
	}
	*k = key
}
