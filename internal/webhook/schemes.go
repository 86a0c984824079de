package webhook

import "slices"

// scheme is a row of the table: how one provider signs, and where it says what a
// delivery is.
type scheme struct {
	name     string
	verifier func(cfg Config, f *faults) verifier
	// id is where the id is, as for alternatives.
	id []string
	// typ is where the provider's type is; none means that Config must say.
	typ []string
	// items is the JSON Pointer of the array of events: "" the body if it is an
	// array.
	items         string
	itemsRequired bool
	// formPayload is the field of a form that has all as JSON.
	formPayload string
	signsURL    bool
	challenge   string // kind of the WWW-Authenticate value, if not "Signature"
	// typeOf finds a type that no place can say; "" if it cannot either.
	typeOf func(data []byte) string
	// answer answers what is no event; nil if it is one.
	answer func(c content) *Answer
}

// schemes is the table.
var schemes = []scheme{
	{
		// webhook-id is "unique for the webhook message" and repeated by its retries;
		// svix-id is the same. "type" in the body is the specification's recommendation.
		name: "standard", verifier: newStandard,
		id: []string{"header:Webhook-Id", "header:Svix-Id"}, typ: []string{"/type"},
	},
}

const genericHMAC = "hmac"

// Schemes returns the names of the schemes, sorted.
func Schemes() []string {
	names := make([]string, 0, len(schemes))
	for _, row := range schemes {
		names = append(names, row.name)
	}
	slices.Sort(names)
	return names
}

func schemeNamed(name string) (scheme, bool) {
	for _, row := range schemes {
		if row.name == name {
			return row, true
		}
	}
	return scheme{}, false
}

// places reads where id, type and items are: as configured, else as the table says.
func (s *Source) places(cfg Config, f *faults) {
	s.id, s.typ = alternatives(s.scheme.id...), alternatives(s.scheme.typ...)
	s.ownType = cfg.Type == ""
	if cfg.ID != "" {
		p, err := parsePlace(cfg.ID)
		if err != nil {
			f.add("id", "%v, nor \"body-hash\"", err)
		}
		s.id = []compound{{p}}
	}
	if cfg.Type != "" {
		p, err := parsePlace(cfg.Type)
		if err != nil {
			f.add("type", "%v", err)
		} else if p.hash {
			f.add("type", "a hash names no type")
		}
		s.typ = []compound{{p}}
	}
	if len(s.typ) == 0 && !s.eventType.fixed {
		f.add("type", "is missing; {type} in event_type needs it with the scheme %q: say \"header:X-Event\" or \"/type\"", s.scheme.name)
	}
	switch rule := (&itemsRule{required: s.scheme.itemsRequired}); cfg.Items {
	case "-":
	case "":
		rule.pointer, _ = parsePointer(s.scheme.items) // the tests read them all
		s.items = rule
	default:
		var err error
		if rule.pointer, err = parsePointer(cfg.Items); err != nil {
			f.add("items", "%v", err)
		}
		rule.required = true
		s.items = rule
	}
}
