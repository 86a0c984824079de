package compat

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
)

// format is what is known about a value of the keyword "format" that the validator
// asserts: some valid samples, and which strings are certainly invalid. Nothing is
// concluded about the strings between, because the validator's rules are not repeated
// here.
type format struct {
	name    string
	aliases []string // other names of the same check
	samples []string // valid, of different lengths
	refuses func(string) bool
}

// knownFormats are those that the validator knows; every other name is an annotation.
var knownFormats = []format{
	{"date-time", nil, []string{"2026-01-31T12:00:00Z", "1999-12-31T23:59:59.123+01:00"}, shorterThan(20)},
	{"date", nil, []string{"2026-01-31", "1999-12-01"}, func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err != nil }},
	{"time", nil, []string{"12:00:00Z", "23:59:59.123+01:00"}, shorterThan(9)},
	{"duration", nil, []string{"P1D", "P3W", "PT10M", "P1Y2M3DT4H5M6S"}, func(s string) bool { return !strings.HasPrefix(s, "P") }},
	{"period", nil, []string{"2026-01-31T12:00:00Z/P1D", "P1D/2026-01-31T12:00:00Z"}, func(s string) bool { return !strings.Contains(s, "/") }},
	{"hostname", nil, []string{"a", "example.com", "www.example.org"}, func(s string) bool { return s == "" || strings.ContainsAny(s, " _@/:") }},
	{"email", nil, []string{"a@b.c", "ada@example.com"}, func(s string) bool { return !strings.Contains(s, "@") }},
	{"ipv4", []string{"ip-address"}, []string{"1.2.3.4", "192.168.100.200"}, func(s string) bool { return strings.Count(s, ".") != 3 }},
	{"ipv6", nil, []string{"::1", "2001:db8::1"}, func(s string) bool {
		a, err := netip.ParseAddr(s)
		return !strings.Contains(s, ":") || err != nil && a.Zone() == "" && !strings.Contains(s, "%")
	}},
	{"uri", []string{"iri"}, []string{"a:b", "https://example.com/a"}, func(s string) bool { return !strings.Contains(s, ":") }},
	{"uri-reference", []string{"iri-reference", "uriref"}, []string{"", "a", "/a/b", "https://example.com/a"}, func(s string) bool {
		return strings.Contains(s, "\\") || broken(s)
	}},
	{"uri-template", nil, []string{"", "a", "/a/b", "https://example.com/a"}, broken},
	{"regex", nil, []string{"", "a", "^[a-z]+$"}, func(s string) bool { _, err := regexp.Compile(s); return err != nil }},
	{"json-pointer", nil, []string{"", "/", "/a/b"}, func(s string) bool { return s != "" && s[0] != '/' }},
	{"relative-json-pointer", nil, []string{"0", "1/a", "0#"}, func(s string) bool { return s == "" || s[0] < '0' || s[0] > '9' }},
	{"uuid", nil, []string{"123e4567-e89b-12d3-a456-426614174000"}, func(s string) bool { return len(s) != 36 }},
}

// broken reports a line break before any fragment, which no URI has.
func broken(s string) bool {
	before, _, _ := strings.Cut(s, "#")
	return strings.Contains(before, "\n")
}

func shorterThan(bytes int) func(string) bool {
	return func(s string) bool { return len(s) < bytes }
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

func judgeFormat(name, v string) answer {
	for _, f := range knownFormats {
		if f.name != name {
			continue
		}
		if slices.Contains(f.samples, v) {
			return yes
		}
		if f.refuses(v) {
			return no
		}
	}
	return unknown
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
