package webhook

import (
	"crypto/sha1" //nolint:gosec // what Intercom signs with
	"slices"

	"eventgateway/internal/strictjson"
)

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
	{
		// Both ids are one to GitLab, the same in every retry; only webhook-id is signed.
		// X-Gitlab-Event-UUID is not enough: an event that sets off others shares it.
		name: "gitlab", verifier: newGitLab,
		id: []string{"header:Webhook-Id", "header:Idempotency-Key", bodyHash}, typ: []string{"/object_kind", "/event_name"},
	},
	{
		// Cloud counts attempts in X-Attempt-Number, beside X-Request-UUID; Data Center
		// has X-Request-Id and does not retry.
		name: "bitbucket", verifier: hmacSpec{header: "X-Hub-Signature", prefix: "sha256=", encoding: encodingHex, signed: mustTemplate("{body}")}.with,
		id: []string{"header:X-Request-Uuid", "header:X-Request-Id", bodyHash}, typ: []string{"header:X-Event-Key"},
		answer: answerPing("X-Event-Key", "diagnostics:ping"),
	},
	{
		// Event Streams sends CloudEvents, which have an id. Other callbacks have a token
		// that is the same in every retry; else a message has one callback per status. A
		// call has many with the same CallSid and CallStatus (every <Gather>, say), so
		// that these alone would lose some.
		name: "twilio", verifier: newTwilio, signsURL: true,
		id: []string{
			"/id", "header:I-Twilio-Idempotency-Token", "/MessageSid /MessageStatus", "/MessageSid /SmsStatus", "/CallSid /CallStatus /SequenceNumber", bodyHash,
		},
		typ: []string{"/EventType", "/type", "/StatusCallbackEvent"}, typeOf: twilioType,
	},
	{
		// sg_event_id is "a unique ID to this event that you can use for deduplication".
		name: "sendgrid", verifier: newSendGrid,
		id: []string{"/sg_event_id"}, typ: []string{"/event"}, itemsRequired: true,
	},
	{
		// event_id is the event's; square-retry-number counts its retries.
		name: "square", signsURL: true,
		verifier: hmacSpec{header: "X-Square-Hmacsha256-Signature", encoding: encodingBase64, signed: mustTemplate("{url}{body}")}.with,
		id:       []string{"/event_id"}, typ: []string{"/type"},
	},
	{
		// event_id is the event's. notification_id is another one in a replay.
		name: "paddle", verifier: listSpec{header: "Paddle-Signature", between: ";", timestamp: "ts", signature: "h1", separator: ":"}.with,
		id: []string{"/event_id"}, typ: []string{"/event_type"},
	},
	{
		// eventId "is not guaranteed to be unique", so everything goes in that says which
		// change it was, for whom; attemptNumber, which a retry changes, does not.
		name: "hubspot", signsURL: true, verifier: hubspotSpec.with,
		id: []string{
			"/portalId /subscriptionId /eventId /occurredAt /objectId",
			"/portalId /subscriptionId /eventId /occurredAt /fromObjectId /toObjectId",
			"/portalId /subscriptionId /eventId /occurredAt",
		},
		typ: []string{"/subscriptionType"}, itemsRequired: true,
	},
	{
		// Linear-Delivery identifies the payload. The body has no id of the delivery, and
		// its webhookTimestamp is the time of sending: a hash would be another one.
		name: "linear", verifier: hmacSpec{
			header: "Linear-Signature", encoding: encodingHex, signed: mustTemplate("{body}"), inBody: strictjson.Pointer{"webhookTimestamp"}, format: unixMilliseconds,
		}.with,
		id: []string{"header:Linear-Delivery"}, typ: []string{"/type"},
	},
	{
		// The invocation is one event for one webhook; its attempts share it. "/id" is not
		// enough: the body of a trigger's webhook is what its author wrote.
		name: "zendesk", verifier: hmacSpec{
			header: "X-Zendesk-Webhook-Signature", encoding: encodingBase64, signed: mustTemplate("{timestamp}{body}"),
			timestamp: "X-Zendesk-Webhook-Signature-Timestamp", format: rfc3339,
		}.with,
		id: []string{"header:X-Zendesk-Webhook-Invocation-Id", bodyHash}, typ: []string{"/type"},
	},
	{
		// The event's id, as the Events API has it. What routes forward has none; then the
		// signature's token, which is one attempt's.
		name: "mailgun", verifier: newMailgun,
		id: []string{"/event-data/id", "/signature/token", "/token"}, typ: []string{"/event-data/event", "/event"},
	},
	{
		// The notification's id; delivery_attempts and first_sent_at change. SHA-1 is all
		// that Intercom offers: as an HMAC it is not known to be forgeable, but nothing
		// new should rely on it.
		name: "intercom", verifier: hmacSpec{
			header: "X-Hub-Signature", prefix: "sha1=", encoding: encodingHex, hash: sha1.New, signed: mustTemplate("{body}"),
		}.with,
		id: []string{"/id"}, typ: []string{"/topic"}, answer: answerIntercom,
	},
	{
		// Adyen's own advice: a duplicate has the same pspReference and eventCode, and
		// success tells the second thoughts from the first. Any 2xx accepts.
		name: "adyen", verifier: newAdyen,
		id:    []string{"/NotificationRequestItem/pspReference /NotificationRequestItem/eventCode /NotificationRequestItem/success"},
		typ:   []string{"/NotificationRequestItem/eventCode"},
		items: "/notificationItems", itemsRequired: true,
	},
	{name: genericHMAC, verifier: newGeneric, id: []string{bodyHash}},
	{name: "basic", verifier: newBasic, id: []string{bodyHash}, challenge: "Basic"},
	{name: "bearer", verifier: newBearer, id: []string{bodyHash}, challenge: "Bearer"},
}

// answerIntercom answers the ping that Intercom sends when a webhook is saved.
func answerIntercom(c content) *Answer {
	if text(c.data, strictjson.Pointer{"topic"}) == "ping" {
		return plainAnswer("pong\n")
	}
	return nil
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
	s.pointers = pointersOf(s.id, s.typ)
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
