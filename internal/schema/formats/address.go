package formats

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// Limits of addresses, in bytes: RFC 1123 §2.1 with RFC 1035 §2.3.4 (without the length
// bytes of the wire format), RFC 5321 §4.5.3.1 (without the brackets of a path).
const (
	maxHost      = 253
	maxLabel     = 63
	maxLocalPart = 64
	maxMailbox   = 254
)

// isIPv4 follows RFC 2673 §3.2 with the octets of RFC 3986 §3.2.2: decimal, no leading
// zeros.
func isIPv4(s string) bool {
	octets := strings.Split(s, ".")
	if len(octets) != 4 {
		return false
	}
	for _, octet := range octets {
		n, ok := digits(octet, len(octet))
		if !ok || octet == "" || len(octet) > 3 || n > 255 || octet[0] == '0' && len(octet) > 1 {
			return false
		}
	}
	return true
}

// isIPv6 follows RFC 4291 §2.2. A zone is not part of an address.
func isIPv6(s string) bool {
	if !strings.Contains(s, ":") || strings.Contains(s, "%") {
		return false
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}

// isHostname follows RFC 1123 §2.1: labels of letters, digits and inner hyphens, no
// final dot. A label that starts with "xn--" must be the form of an
// internationalised one (RFC 5890 §2.3.2.1).
func isHostname(s string) bool {
	return len(s) <= maxHost && isASCII(s) && isDomain(strings.Split(s, "."))
}

// isLDH reports whether a label consists of letters, digits and inner hyphens.
func isLDH(label string) bool {
	return label != "" && len(label) <= maxLabel && label[0] != '-' && label[len(label)-1] != '-' &&
		all(label, func(c byte) bool { return isAlpha(c) || isDigit(c) || c == '-' })
}

// isEmail follows RFC 5321 §4.1.2, Mailbox.
func isEmail(s string) bool { return isMailbox(s, false) }

// isIDNEmail follows RFC 6531 §3.3: further characters in both parts. The domain's
// labels are not held to IDNA, which mail software applies when it looks them up.
func isIDNEmail(s string) bool { return isMailbox(s, true) }

func isMailbox(s string, international bool) bool {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || len(s) > maxMailbox || at > maxLocalPart || !utf8.ValidString(s) {
		return false
	}
	local, domain := s[:at], s[at+1:]
	if local[0] == '"' {
		if !isQuoted(local, international) {
			return false
		}
	} else {
		for atom := range strings.SplitSeq(local, ".") {
			if atom == "" || !all(atom, func(c byte) bool { return isAtext(c) || international && c >= utf8.RuneSelf }) {
				return false
			}
		}
	}
	if literal, ok := strings.CutPrefix(domain, "["); ok {
		literal, ok = strings.CutSuffix(literal, "]")
		return ok && isAddressLiteral(literal)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if international {
			label = strings.Map(func(r rune) rune {
				if r >= utf8.RuneSelf {
					return 'a'
				}
				return r
			}, label)
		}
		if !isLDH(label) {
			return false
		}
	}
	return true
}

// isAtext is a character of an unquoted local part (RFC 5322 §3.2.3).
func isAtext(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

// isQuoted reports whether s is a Quoted-string.
func isQuoted(s string, international bool) bool {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return false
	}
	inner := s[1 : len(s)-1]
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		switch {
		case c == '\\':
			if i++; i == len(inner) || inner[i] < ' ' || inner[i] > '~' {
				return false
			}
		case c == '"', c < ' ', c == 0x7f, c >= utf8.RuneSelf && !international:
			return false
		}
	}
	return true
}

// isAddressLiteral follows RFC 5321 §4.1.3. Of the tags only IPv6 is registered.
func isAddressLiteral(s string) bool {
	const tag = "IPv6:"
	if len(s) > len(tag) && strings.EqualFold(s[:len(tag)], tag) {
		return isIPv6(s[len(tag):])
	}
	return isIPv4(s)
}
