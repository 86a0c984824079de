package infer

import (
	"net/url"
	"regexp"
	"time"
)

// format is a format of JSON Schema that can be recognised in strings. These tests
// are stricter than those that events must pass: "a:b" should not be taken for a
// URI.
type format struct {
	name    string
	matches func(string) bool
}

// maxAddress is the longest e-mail address (RFC 5321 §4.5.3.1.3, less its brackets).
const maxAddress = 254

var (
	dateTimeText = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)
	uuidText     = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	emailText    = regexp.MustCompile(`^[A-Za-z0-9_%+-]{1,32}(\.[A-Za-z0-9_%+-]{1,30})?@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$`)
	uriText      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://[!-~]+$`)
)

// formats are those that are recognised; at most one fits a string.
var formats = []format{
	{"date-time", func(s string) bool {
		_, err := time.Parse(time.RFC3339Nano, s)
		return err == nil && dateTimeText.MatchString(s)
	}},
	{"date", func(s string) bool {
		_, err := time.Parse(time.DateOnly, s)
		return err == nil
	}},
	{"uuid", uuidText.MatchString},
	{"email", func(s string) bool { return len(s) <= maxAddress && emailText.MatchString(s) }},
	{"uri", func(s string) bool {
		u, err := url.Parse(s)
		return err == nil && u.Host != "" && uriText.MatchString(s)
	}},
}
