package formats

import (
	"slices"

	"eventgateway/internal/schema/ecma"
)

// format is one name with its check.
type format struct {
	name  string
	check func(string) bool
}

// table lists the formats of all drafts. Draft 3's "ip-address" and draft 6's early
// "uriref" stay, because the schema library knows them, too, and so does "period".
func table() []format {
	return []format{
		{"date", isDate},
		{"date-time", isDateTime},
		{"duration", isDuration},
		{"email", isEmail},
		{"hostname", isHostname},
		{"idn-email", isIDNEmail},
		{"idn-hostname", isIDNHostname},
		{"ip-address", isIPv4},
		{"ipv4", isIPv4},
		{"ipv6", isIPv6},
		{"iri", func(s string) bool { return isURI(s, true) }},
		{"iri-reference", func(s string) bool { return isURIReference(s, true) }},
		{"json-pointer", isJSONPointer},
		{"period", isPeriod},
		{"regex", ecma.Valid},
		{"relative-json-pointer", isRelativeJSONPointer},
		{"time", isTime},
		{"uri", func(s string) bool { return isURI(s, false) }},
		{"uri-reference", func(s string) bool { return isURIReference(s, false) }},
		{"uri-template", isURITemplate},
		{"uriref", func(s string) bool { return isURIReference(s, false) }},
		{"uuid", isUUID},
	}
}

// Names lists the formats that are checked, in alphabetical order.
func Names() []string {
	var names []string
	for _, f := range table() {
		names = append(names, f.name)
	}
	return names
}

// Of returns the check of a format, nil for a name that is an annotation only.
func Of(name string) func(string) bool {
	all := table()
	at := slices.IndexFunc(all, func(f format) bool { return f.name == name })
	if at < 0 {
		return nil
	}
	return all[at].check
}

// OfValue is Of for any value of JSON: a value that is not a string is valid under every
// format.
func OfValue(name string) func(any) bool {
	check := Of(name)
	if check == nil {
		return nil
	}
	return func(v any) bool {
		s, ok := v.(string)
		return !ok || check(s)
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlpha(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// all reports whether every byte of s is of a kind; an empty s is.
func all(s string, kind func(byte) bool) bool {
	for i := range len(s) {
		if !kind(s[i]) {
			return false
		}
	}
	return true
}

// isUUID follows RFC 4122 §3: any variant and version.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if !isHex(s[i]) {
				return false
			}
		}
	}
	return true
}

// isJSONPointer follows RFC 6901 §3.
func isJSONPointer(s string) bool {
	if s != "" && s[0] != '/' {
		return false
	}
	for i := range len(s) {
		if s[i] == '~' && (i+1 == len(s) || s[i+1] != '0' && s[i+1] != '1') {
			return false
		}
	}
	return true
}

// isRelativeJSONPointer follows draft-handrews-relative-json-pointer-01 §3: how many
// levels up, then "#" or a JSON Pointer.
func isRelativeJSONPointer(s string) bool {
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	if digits == 0 || s[0] == '0' && digits > 1 {
		return false
	}
	return s[digits:] == "#" || isJSONPointer(s[digits:])
}
