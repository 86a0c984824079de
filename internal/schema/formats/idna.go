package formats

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/secure/bidirule"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// aLabelPrefix starts the ASCII form of an internationalised label.
const aLabelPrefix = "xn--"

// isIDNHostname follows RFC 5890 §2.3.2.3: labels in ASCII, or U-labels, parted by one
// of the four dots of RFC 3490 §3.1.
func isIDNHostname(s string) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxHost {
		return false
	}
	return isDomain(strings.Split(strings.NewReplacer("。", ".", "．", ".", "｡", ".").Replace(s), "."))
}

// isDomain checks labels, each by itself and then together: if any is written from
// right to left, all are held to the Bidi rule (RFC 5893 §2).
func isDomain(labels []string) bool {
	length := len(labels) - 1
	rightToLeft := false
	plain := make([]string, len(labels)) // in Unicode
	for i, label := range labels {
		ascii, ok := label, isLDH(label)
		switch plain[i] = label; {
		case !isASCII(label):
			ascii, ok = toALabel(label)
		case hasALabelPrefix(label):
			plain[i], ok = fromALabel(label)
		}
		if !ok {
			return false
		}
		length += len(ascii)
		rightToLeft = rightToLeft || isRightToLeft(plain[i])
	}
	return length <= maxHost && (!rightToLeft || !slices.ContainsFunc(plain, func(label string) bool { return !bidirule.ValidString(label) }))
}

func isASCII(s string) bool { return all(s, func(c byte) bool { return c < utf8.RuneSelf }) }

func hasALabelPrefix(label string) bool {
	return len(label) >= len(aLabelPrefix) && strings.EqualFold(label[:len(aLabelPrefix)], aLabelPrefix)
}

// toALabel returns the ASCII form of a U-label.
func toALabel(label string) (string, bool) {
	if !isULabel(label) {
		return "", false
	}
	ascii, err := idna.Punycode.ToASCII(label)
	return ascii, err == nil && len(ascii) <= maxLabel
}

// fromALabel returns the U-label that an A-label stands for. Only the one way of
// writing it counts (RFC 5891 §5.4).
func fromALabel(label string) (string, bool) {
	label = strings.ToLower(label)
	plain, err := idna.Punycode.ToUnicode(label)
	if err != nil || len(label) > maxLabel || isASCII(plain) {
		return "", false
	}
	ascii, ok := toALabel(plain)
	return plain, ok && ascii == label
}

// isULabel follows RFC 5891 §4.2 and the rules of RFC 5892.
func isULabel(label string) bool {
	runes := []rune(label)
	if len(runes) == 0 || len(runes) > maxLabel || !norm.NFC.IsNormalString(label) ||
		runes[0] == '-' || runes[len(runes)-1] == '-' || len(runes) >= 4 && runes[2] == '-' && runes[3] == '-' ||
		unicode.Is(unicode.M, runes[0]) {
		return false
	}
	for i, r := range runes {
		if !isPermitted(r) && !isPermittedThere(runes, i) {
			return false
		}
	}
	if !strings.ContainsAny(label, "\u200c\u200d") {
		return true
	}
	_, err := idna.New(idna.CheckJoiners(true)).ToUnicode(label) // RFC 5892 appendix A.1 and A.2
	return err == nil
}

// exceptions are code points whose rule is not derived from their properties (RFC 5892
// §2.6): permitted or not.
var exceptions = map[rune]bool{
	0xDF: true, 0x3C2: true, 0x6FD: true, 0x6FE: true, 0xF0B: true, 0x3007: true,
	0x640: false, 0x7FA: false, 0x302E: false, 0x302F: false,
	0x3031: false, 0x3032: false, 0x3033: false, 0x3034: false, 0x3035: false, 0x303B: false,
}

// isPermitted is PVALID, derived as RFC 5892 §3 says.
func isPermitted(r rune) bool {
	if permitted, ok := exceptions[r]; ok {
		return permitted
	}
	switch {
	case r < utf8.RuneSelf:
		return r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9'
	case r >= 0x1100 && r <= 0x11FF, r >= 0xA960 && r <= 0xA97F, r >= 0xD7B0 && r <= 0xD7FF, // old Hangul Jamo
		r >= 0x20D0 && r <= 0x20FF, r >= 0x1D100 && r <= 0x1D24F, // marks of symbols and music
		r >= 0x660 && r <= 0x669, r >= 0x6F0 && r <= 0x6F9, // by context
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), unicode.Is(unicode.Variation_Selector, r):
		return false
	}
	return unicode.In(r, unicode.Ll, unicode.Lo, unicode.Lm, unicode.Mn, unicode.Mc, unicode.Nd) && isStable(r)
}

// isStable reports whether a code point is its own compatible, folded form (RFC 5892
// §2.2).
func isStable(r rune) bool {
	s := string(r)
	if unicode.SimpleFold(r) == r { // most scripts have no case
		return norm.NFKC.IsNormalString(s)
	}
	return norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s))) == s
}

// isPermittedThere follows RFC 5892 appendix A: code points that are permitted in some
// contexts. The joiners' context is checked for the whole label.
func isPermittedThere(label []rune, i int) bool {
	at := func(i int) rune {
		if i < 0 || i >= len(label) {
			return 0
		}
		return label[i]
	}
	anywhere := func(of ...*unicode.RangeTable) bool {
		return slices.ContainsFunc(label, func(r rune) bool { return unicode.In(r, of...) })
	}
	between := func(low, high rune) bool {
		return slices.ContainsFunc(label, func(r rune) bool { return r >= low && r <= high })
	}
	switch r := label[i]; {
	case r == 0x200C, r == 0x200D:
		return true
	case r == 0xB7:
		return at(i-1) == 'l' && at(i+1) == 'l'
	case r == 0x375:
		return unicode.Is(unicode.Greek, at(i+1))
	case r == 0x5F3, r == 0x5F4:
		return unicode.Is(unicode.Hebrew, at(i-1))
	case r == 0x30FB:
		return anywhere(unicode.Hiragana, unicode.Katakana, unicode.Han)
	case r >= 0x660 && r <= 0x669:
		return !between(0x6F0, 0x6F9)
	case r >= 0x6F0 && r <= 0x6F9:
		return !between(0x660, 0x669)
	}
	return false
}

// isRightToLeft reports whether a label has a character that is written from right to
// left (RFC 5893 §1.4).
func isRightToLeft(label string) bool {
	for _, r := range label {
		p, _ := bidi.LookupRune(r)
		if class := p.Class(); class == bidi.R || class == bidi.AL || class == bidi.AN {
			return true
		}
	}
	return false
}
