package compat

import (
	"slices"

	"eventgateway/internal/schema/formats"
)

// format is a value of the keyword "format" that the validator asserts, with some valid
// samples of different lengths for events that show a break.
type format struct {
	name    string
	aliases []string // other names of the same check
	samples []string
}

// knownFormats are those that the validator knows; every other name is an annotation.
var knownFormats = []format{
	{"date-time", nil, []string{"2026-01-31T12:00:00Z", "1999-12-31T23:59:59.123+01:00"}},
	{"date", nil, []string{"2026-01-31", "1999-12-01"}},
	{"time", nil, []string{"12:00:00Z", "23:59:59.123+01:00"}},
	{"duration", nil, []string{"P1D", "P3W", "PT10M", "P1Y2M3DT4H5M6S"}},
	{"period", nil, []string{"2026-01-31T12:00:00Z/P1D", "P1D/2026-01-31T12:00:00Z"}},
	{"hostname", nil, []string{"a", "example.com", "www.example.org"}},
	{"idn-hostname", nil, []string{"a", "example.com", "bücher.example"}},
	{"email", nil, []string{"a@b.c", "ada@example.com"}},
	{"idn-email", nil, []string{"a@b.c", "ada@example.com", "ü@bücher.example"}},
	{"ipv4", []string{"ip-address"}, []string{"1.2.3.4", "192.168.100.200"}},
	{"ipv6", nil, []string{"::1", "2001:db8::1"}},
	{"uri", nil, []string{"a:b", "https://example.com/a"}},
	{"iri", nil, []string{"a:b", "https://example.com/a", "https://example.com/é"}},
	{"uri-reference", []string{"uriref"}, []string{"", "a", "/a/b", "https://example.com/a"}},
	{"iri-reference", nil, []string{"", "a", "/é", "https://example.com/a"}},
	{"uri-template", nil, []string{"", "a", "/a{/b}", "https://example.com/a{?q}"}},
	{"regex", nil, []string{"", "a", "^[a-z]+$"}},
	{"json-pointer", nil, []string{"", "/", "/a/b"}},
	{"relative-json-pointer", nil, []string{"0", "1/a", "0#"}},
	{"uuid", nil, []string{"123e4567-e89b-12d3-a456-426614174000"}},
}

// canonicalFormat is one name for all formats with the same check; empty for a
// name that is an annotation only.
func canonicalFormat(name string) string {
	for _, f := range knownFormats {
		if f.name == name || slices.Contains(f.aliases, name) {
			return f.name
		}
	}
	return ""
}

// wider are the formats whose grammar has every string of another one's.
var wider = map[string][]string{
	"uri":           {"uri-reference", "iri", "iri-reference"},
	"uri-reference": {"iri-reference"},
	"iri":           {"iri-reference"},
	"email":         {"idn-email"},
	"hostname":      {"idn-hostname"},
}

// formatInside reports whether every string of one format is one of another.
func formatInside(smaller, larger string) bool {
	return smaller == larger || slices.Contains(wider[smaller], larger)
}

func judgeFormat(name, v string) answer {
	check := formats.Of(name)
	switch {
	case check == nil:
		return unknown
	case check(v):
		return yes
	}
	return no
}

// formatSamples lists valid strings of a format.
func formatSamples(name string) []string {
	for _, f := range knownFormats {
		if f.name == name {
			return f.samples
		}
	}
	return nil
}
