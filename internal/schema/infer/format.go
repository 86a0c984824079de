package infer

import (
	"regexp"

	"eventgateway/internal/schema/formats"
)

// format is a format of JSON Schema that can be recognised in strings. Such a string
// meets the check of events, and looks like what people mean by the name: "a:b" should
// not be taken for a URI.
type format struct {
	name  string
	looks *regexp.Regexp
}

// recognised are the formats that are looked for; at most one fits a string.
var recognised = []format{
	{"date-time", regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`)},
	{"date", regexp.MustCompile(`^\d{4}-\d\d-\d\d$`)},
	{"uuid", regexp.MustCompile(`^[0-9A-Fa-f-]{36}$`)},
	{"email", regexp.MustCompile(`^[A-Za-z0-9_%+-]{1,32}(\.[A-Za-z0-9_%+-]{1,30})?@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$`)},
	{"uri", regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]`)},
}

func (f format) matches(s string) bool { return f.looks.MatchString(s) && formats.Of(f.name)(s) }
