package infer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"eventgateway/internal/strictjson"
)

const (
	maxKeyBytes   = 1024 // the gateway's limit of a key
	maxKeysListed = 10   // candidates that an error names
)

// idName matches the names of members that identify something.
var idName = regexp.MustCompile(`(^(id|Id|ID|uuid)$)|([a-z0-9]I[dD]$)|([_-](id|ID|uuid)$)`)

// candidate is a place that could be the entity key: all samples have it, with the
// right type.
type candidate struct {
	names []string
}

func (c candidate) pointer() string {
	return strictjson.Pointer(c.names).String()
}

// guessKey finds the member that identifies the entity: the one named after the
// event type's first word (orderId for orders.placed), else the only one that is
// named like an id. The error lists the candidates.
func guessKey(eventType string, samples []Sample) (string, error) {
	all := candidates(samples)
	for _, stem := range stems(eventType) {
		for _, c := range all {
			if normal(strings.Join(c.names, "")) == stem+"id" {
				return c.pointer(), nil
			}
		}
	}
	var ids, others []string
	for _, c := range all {
		switch last := c.names[len(c.names)-1]; {
		case idName.MatchString(last) && len(c.names) == 1:
			ids = append(ids, c.pointer())
		default:
			others = append(others, c.pointer())
		}
	}
	if len(ids) == 1 {
		return ids[0], nil
	}
	const question = "cannot tell which member names the entity whose events stay in order; "
	named := append(ids, others...)
	if len(named) == 0 {
		return "", fmt.Errorf("%sno string or integer is in all samples; say --key null if the event is about no entity", question)
	}
	text := strings.Join(named[:min(maxKeysListed, len(named))], ", ")
	if more := len(named) - maxKeysListed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return "", fmt.Errorf("%ssay it with --key %s (it could be %s), or say --key null if the event is about no entity", question, named[0], text)
}

// candidates are the usable members at the root and, after them, one level below.
func candidates(samples []Sample) []candidate {
	var root, below []candidate
	for _, m := range samples[0].value.members {
		if c := (candidate{[]string{m.name}}); c.usable(samples) {
			root = append(root, c)
		}
		for _, inner := range m.value.members {
			if c := (candidate{[]string{m.name, inner.name}}); c.usable(samples) {
				below = append(below, c)
			}
		}
	}
	return slices.Concat(root, below)
}

// usable reports whether all samples have a string or integer there that the
// gateway accepts as a key.
func (c candidate) usable(samples []Sample) bool {
	for _, s := range samples {
		v, ok := s.value.find(c.names...)
		switch {
		case !ok:
			return false
		case v.kind == jsontext.KindString && v.text != "" && len(v.text) <= maxKeyBytes && !isMoment(v.text):
		case v.kind == jsontext.KindNumber && !strings.ContainsAny(v.text, ".eE"):
		default:
			return false
		}
	}
	return true
}

// isMoment reports whether a text is a date, which two entities may share.
func isMoment(text string) bool {
	return slices.ContainsFunc(recognised, func(f format) bool {
		return (f.name == "date-time" || f.name == "date") && f.matches(text)
	})
}

// stems are the forms in which the first word of an event type may stand in a
// member's name: as it is, and in the singular.
func stems(eventType string) []string {
	word := strings.FieldsFunc(separateWords(eventType), func(r rune) bool { return r == '.' || r == '_' || r == '-' || r == ' ' })
	if len(word) == 0 {
		return nil
	}
	first := strings.ToLower(word[0])
	found := []string{first}
	for _, ending := range []struct{ plural, singular string }{{"ies", "y"}, {"es", ""}, {"s", ""}} {
		if stem, ok := strings.CutSuffix(first, ending.plural); ok && stem != "" {
			found = append(found, stem+ending.singular)
		}
	}
	return found
}

// separateWords puts a space before capitals that follow small letters.
func separateWords(name string) string {
	var b strings.Builder
	small := false
	for _, r := range name {
		if small && unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		small = unicode.IsLower(r)
	}
	return b.String()
}

// normal maps orderId, order_id and OrderID to the same text.
func normal(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}
