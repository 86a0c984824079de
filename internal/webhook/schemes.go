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
	// array, "-" never.
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
	{
		// The event's id: a redelivery is the same event, with another pending_webhooks
		// and another signature.
		name: "stripe", verifier: listSpec{header: "Stripe-Signature", between: ",", timestamp: "t", signature: "v1", separator: "."}.with,
		id: []string{"/id"}, typ: []string{"/type"},
	},
	{
		// A redelivery, by hand or through the API, keeps X-GitHub-Delivery. The SHA-1
		// signature that GitHub also sends is never looked at.
		name: "github", verifier: hmacSpec{header: "X-Hub-Signature-256", prefix: "sha256=", encoding: encodingHex, signed: mustTemplate("{body}")}.with,
		id: []string{"header:X-Github-Delivery"}, typ: []string{"header:X-Github-Event"},
		formPayload: "payload", answer: answerPing("X-Github-Event", "ping"),
	},
	{
		// X-Shopify-Webhook-Id is one delivery to one subscription, the same in every
		// retry. X-Shopify-Event-Id is not enough: orders/create and orders/paid of one
		// order may share it.
		name: "shopify", verifier: hmacSpec{header: "X-Shopify-Hmac-Sha256", encoding: encodingBase64, signed: mustTemplate("{body}")}.with,
		id: []string{"header:X-Shopify-Webhook-Id"}, typ: []string{"header:X-Shopify-Topic"},
	},
	{
		// event_id is "globally unique across workspaces" and kept by retries.
		// Interactions and slash commands are not retried; their trigger_id is one click.
		name: "slack", verifier: hmacSpec{
			header: "X-Slack-Signature", prefix: "v0=", encoding: encodingHex, signed: mustTemplate("v0:{timestamp}:{body}"),
			timestamp: "X-Slack-Request-Timestamp", format: unixSeconds,
		}.with,
		id: []string{"/event_id", "/trigger_id", bodyHash}, typ: []string{"/event/type", "/type"},
		formPayload: "payload", typeOf: slackType, answer: answerSlack, items: never,
	},
	{name: genericHMAC, verifier: newGeneric, id: []string{bodyHash}},
	{name: "basic", verifier: newBasic, id: []string{bodyHash}, challenge: "Basic"},
	{name: "bearer", verifier: newBearer, id: []string{bodyHash}, challenge: "Bearer"},
}

// never says that a body is one event, whatever it is.
const never = "-"

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
	items, required := cfg.Items, true
	if items == "" {
		items, required = s.scheme.items, s.scheme.itemsRequired
	}
	if items == never {
		return
	}
	p, err := parsePointer(items)
	if err != nil {
		f.add("items", "%v", err)
	}
	s.items = &itemsRule{pointer: p, required: required}
}
