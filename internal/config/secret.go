package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
)

const redacted = "[redacted]"

// Secret is a value that no log line, error or dump may show: every way of formatting
// or marshalling it gives "[redacted]", even when it is empty.
//
// A struct that holds a Secret must export the field: fmt does not call the methods of
// unexported fields.
type Secret string

// UnmarshalText takes any text.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

func (*Secret) neverEmpty() {}

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (Secret) String() string { return redacted }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return redacted }

// Format hides the secret from every verb, %x and %q included.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalText hides the secret from JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue hides the secret from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// Properties are librdkafka's properties by name. Some hold passwords and keys, so only
// the names are ever shown. It is assignable to map[string]string.
type Properties map[string]string

// String lists the names.
func (p Properties) String() string {
	names := slices.Sorted(maps.Keys(p))
	for i, name := range names {
		names[i] = name + ":" + redacted
	}
	return "map[" + strings.Join(names, " ") + "]"
}

// Format lists the names, whatever the verb.
func (p Properties) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, p.String()) }

// MarshalJSON hides the values.
func (p Properties) MarshalJSON() ([]byte, error) { return json.Marshal(p.hidden()) }

// MarshalYAML hides the values.
func (p Properties) MarshalYAML() (any, error) { return p.hidden(), nil }

// LogValue hides the values from slog.
func (p Properties) LogValue() slog.Value { return slog.StringValue(p.String()) }

func (p Properties) hidden() map[string]Secret {
	hidden := make(map[string]Secret, len(p))
	for name := range p {
		hidden[name] = ""
	}
	return hidden
}
