package formats

import (
	"strings"
	"unicode/utf8"
)

// isURI follows RFC 3986 §3, or RFC 3987 §2.2 if international: with a scheme.
func isURI(s string, international bool) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	return ok && isScheme(scheme) && isHierarchy(rest, international)
}

// isURIReference follows RFC 3986 §4.1, or RFC 3987 §2.2: without a scheme, too. Then
// the first segment of the path has no colon.
func isURIReference(s string, international bool) bool {
	if isURI(s, international) {
		return true
	}
	first := s
	if end := strings.IndexAny(s, "/?#"); end >= 0 {
		first = s[:end]
	}
	return !strings.Contains(first, ":") && isHierarchy(s, international)
}

func isScheme(s string) bool {
	return s != "" && isAlpha(s[0]) &&
		all(s, func(c byte) bool { return isAlpha(c) || isDigit(c) || c == '+' || c == '-' || c == '.' })
}

// isHierarchy checks what follows the scheme: authority, path, query and fragment.
func isHierarchy(s string, international bool) bool {
	s, fragment, _ := strings.Cut(s, "#")
	s, query, _ := strings.Cut(s, "?")
	chars := uriChars{international: international}
	if !chars.all(fragment, ":@/?") {
		return false
	}
	chars.private = international
	if !chars.all(query, ":@/?") {
		return false
	}
	chars.private = false
	path := s
	if rest, ok := strings.CutPrefix(s, "//"); ok {
		authority := rest
		path = ""
		if slash := strings.IndexByte(rest, '/'); slash >= 0 {
			authority, path = rest[:slash], rest[slash:]
		}
		if !chars.isAuthority(authority) {
			return false
		}
	}
	return chars.all(path, ":@/")
}

// uriChars are the characters of a URI's parts, RFC 3986 §2, and of an IRI's.
type uriChars struct {
	international bool // ucschar of RFC 3987 §2.2
	private       bool // and iprivate
}

const subDelims = "!$&'()*+,;="

// all reports whether s consists of unreserved characters, percent-encoded bytes,
// sub-delims and more.
func (u uriChars) all(s, more string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			ok := u.international && isUCSChar(r) || u.private && isPrivate(r)
			if !ok || r == utf8.RuneError && size == 1 {
				return false
			}
			i += size - 1
		case !isUnreserved(c) && strings.IndexByte(subDelims, c) < 0 && strings.IndexByte(more, c) < 0:
			return false
		}
	}
	return true
}

func isUnreserved(c byte) bool {
	return isAlpha(c) || isDigit(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

// isAuthority follows RFC 3986 §3.2: user information, host and port.
func (u uriChars) isAuthority(s string) bool {
	if at := strings.IndexByte(s, '@'); at >= 0 {
		if !u.all(s[:at], ":") {
			return false
		}
		s = s[at+1:]
	}
	host, port := s, ""
	if literal, ok := strings.CutPrefix(s, "["); ok {
		var rest string
		if literal, rest, ok = strings.Cut(literal, "]"); !ok || !isIPLiteral(literal) {
			return false
		}
		if rest != "" && rest[0] != ':' {
			return false
		}
		host, port = "", strings.TrimPrefix(rest, ":")
	} else if colon := strings.IndexByte(s, ':'); colon >= 0 {
		host, port = s[:colon], s[colon+1:]
	}
	return all(port, isDigit) && u.all(host, "")
}

// isIPLiteral checks what stands between the brackets: an IPv6 address or IPvFuture.
func isIPLiteral(s string) bool {
	if s != "" && (s[0] == 'v' || s[0] == 'V') {
		version, address, ok := strings.Cut(s[1:], ".")
		return ok && version != "" && all(version, isHex) && address != "" &&
			all(address, func(c byte) bool { return isUnreserved(c) || c == ':' || strings.IndexByte(subDelims, c) >= 0 })
	}
	return isIPv6(s)
}

// isUCSChar is ucschar of RFC 3987 §2.2.
func isUCSChar(r rune) bool {
	switch {
	case r >= 0xA0 && r <= 0xD7FF, r >= 0xF900 && r <= 0xFDCF, r >= 0xFDF0 && r <= 0xFFEF:
		return true
	case r >= 0xE0000 && r <= 0xE0FFF:
		return false
	}
	return r >= 0x10000 && r <= 0xEFFFD && r&0xFFFF <= 0xFFFD
}

// isPrivate is iprivate of RFC 3987 §2.2.
func isPrivate(r rune) bool {
	return r >= 0xE000 && r <= 0xF8FF || r >= 0xF0000 && r <= 0x10FFFD && r&0xFFFF <= 0xFFFD
}

// isURITemplate follows RFC 6570 §2, with erratum 6937: an apostrophe is a literal.
func isURITemplate(s string) bool {
	for s != "" {
		switch s[0] {
		case '{':
			expression, rest, ok := strings.Cut(s[1:], "}")
			if !ok || !isExpression(expression) {
				return false
			}
			s = rest
		case '%':
			if len(s) < 3 || !isHex(s[1]) || !isHex(s[2]) {
				return false
			}
			s = s[3:]
		default:
			r, size := utf8.DecodeRuneInString(s)
			if !isTemplateLiteral(r) {
				return false
			}
			s = s[size:]
		}
	}
	return true
}

func isTemplateLiteral(r rune) bool {
	if r < utf8.RuneSelf {
		return r > ' ' && r < 0x7f && !strings.ContainsRune("\"<>\\^`{|}%", r)
	}
	return isUCSChar(r) || isPrivate(r)
}

// isExpression checks what stands between the braces: an operator, those reserved for
// later included, and variables with their modifiers (RFC 6570 §2.2 to §2.4).
func isExpression(s string) bool {
	if s != "" && strings.IndexByte("+#./;?&=,!@|", s[0]) >= 0 {
		s = s[1:]
	}
	for variable := range strings.SplitSeq(s, ",") {
		name, length, isPrefix := strings.Cut(variable, ":")
		if isPrefix {
			if length == "" || len(length) > 4 || length[0] == '0' || !all(length, isDigit) {
				return false
			}
		} else {
			name = strings.TrimSuffix(name, "*")
		}
		for part := range strings.SplitSeq(name, ".") {
			if part == "" || !isVariablePart(part) {
				return false
			}
		}
	}
	return true
}

func isVariablePart(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			i += 2
		case !isAlpha(c) && !isDigit(c) && c != '_':
			return false
		}
	}
	return true
}
