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
	// id is where the id is, in the notation of alternatives.
	id []string
	// typ is where the provider's type is; if there is none, Config must say.
	typ []string
	// items is the JSON Pointer of the array of events: "" is the body, if that is an
	// array; "-" means that there is none.
	items         string
	itemsRequired bool
	// formPayload is the field of a form that contains everything as JSON.
	formPayload string
	signsURL    bool
	challenge   string // kind of the WWW-Authenticate value, if not "Signature"
	// typeOf finds a type that a place cannot describe; "" if there is none.
	typeOf func(data []byte) string
	// answer answers a request that is not an event; nil if it is one.
	answer func(c content) *Answer
	// asksForProof recognises a verified request that prove answers with the secret.
	asksForProof func(c content) bool
	prove        func(c content, secret string) *Answer
	// reply is what an accepted delivery is answered with; nil is 202 and the receipt.
	reply *Reply
	// registration is how the provider checks the URL by GET; nil if it does not.
	registration *Challenge
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
		// signature that GitHub also sends is ignored.
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
		// The answer to a view_submission must be empty, or the modal shows an error; that
		// to a command is shown to the user.
		reply: emptyOK,
	},
	{
		// To GitLab both ids are the same one, repeated by every retry; only webhook-id is
		// signed. X-Gitlab-Event-UUID is not enough: an event shares it with the events
		// that it causes.
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
		// that every retry repeats. Without one, a message has one callback per status,
		// but a call has many with the same CallSid and CallStatus (one per <Gather>, for
		// example), so these two alone would lose some.
		name: "twilio", verifier: newTwilio, signsURL: true,
		id: []string{
			"/id", "header:I-Twilio-Idempotency-Token", "/MessageSid /MessageStatus", "/MessageSid /SmsStatus", "/CallSid /CallStatus /SequenceNumber", bodyHash,
		},
		typ: []string{"/EventType", "/type", "/StatusCallbackEvent"}, typeOf: twilioType,
		// Of messages and calls the answer is TwiML. Status callbacks ignore it.
		reply: emptyTwiML,
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
		// event_id is the event's. notification_id changes in a replay.
		name: "paddle", verifier: listSpec{header: "Paddle-Signature", between: ";", timestamp: "ts", signature: "h1", separator: ":"}.with,
		id: []string{"/event_id"}, typ: []string{"/event_type"},
		reply: plainOK, // another status is a failure to Paddle
	},
	{
		// eventId "is not guaranteed to be unique", so the id contains everything that
		// says which change it was and for whom, but not attemptNumber, which a retry
		// changes.
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
		// its webhookTimestamp is the time of sending, so a hash would change in a retry.
		name: "linear", verifier: hmacSpec{
			header: "Linear-Signature", encoding: encodingHex, signed: mustTemplate("{body}"), inBody: strictjson.Pointer{"webhookTimestamp"}, format: unixMilliseconds,
		}.with,
		id: []string{"header:Linear-Delivery"}, typ: []string{"/type"},
		reply: plainOK, // another status is a failure to Linear
	},
	{
		// The invocation is one event for one webhook; its attempts share it. "/id" is not
		// enough: the author of a trigger's webhook writes its body.
		name: "zendesk", verifier: hmacSpec{
			header: "X-Zendesk-Webhook-Signature", encoding: encodingBase64, signed: mustTemplate("{timestamp}{body}"),
			timestamp: "X-Zendesk-Webhook-Signature-Timestamp", format: rfc3339,
		}.with,
		id: []string{"header:X-Zendesk-Webhook-Invocation-Id", bodyHash}, typ: []string{"/type"},
	},
	{
		// The event's id, as in the Events API. What routes forward has none; then it is
		// the signature's token, which is new in each attempt.
		name: "mailgun", verifier: newMailgun,
		id: []string{"/event-data/id", "/signature/token", "/token"}, typ: []string{"/event-data/event", "/event"}, typeOf: mailgunType,
		reply: plainOK, // after another 2xx Mailgun delivers again
	},
	{
		// The notification's id; delivery_attempts and first_sent_at change. Intercom
		// offers only SHA-1: as an HMAC it is not known to be forgeable, but nothing new
		// should rely on it.
		name: "intercom", verifier: hmacSpec{
			header: "X-Hub-Signature", prefix: "sha1=", encoding: encodingHex, hash: sha1.New, signed: mustTemplate("{body}"),
		}.with,
		id: []string{"/id"}, typ: []string{"/topic"}, answer: answerIntercom,
	},
	{
		// As Adyen advises: a duplicate has the same pspReference and eventCode, and
		// success distinguishes a later result from the first. Any 2xx accepts.
		name: "adyen", verifier: newAdyen,
		id:    []string{"/NotificationRequestItem/pspReference /NotificationRequestItem/eventCode /NotificationRequestItem/success"},
		typ:   []string{"/NotificationRequestItem/eventCode"},
		items: "/notificationItems", itemsRequired: true,
	},
	{
		// Balance platform, and other webhooks with a signature of the whole body. Most have
		// no id of their own.
		name: "adyen-platform", verifier: hmacSpec{header: "Hmacsignature", encoding: encodingBase64, secrets: keysHex, signed: mustTemplate("{body}")}.with,
		id: []string{bodyHash}, typ: []string{"/type"},
	},
	{
		// Meta's products (Pages, WhatsApp, Instagram) send several changes in one body,
		// without an id, but with their times.
		name: "meta", verifier: hmacSpec{header: "X-Hub-Signature-256", prefix: "sha256=", encoding: encodingHex, signed: mustTemplate("{body}")}.with,
		id: []string{bodyHash}, typ: []string{"/object"}, reply: plainOK,
		registration: &Challenge{At: "query:hub.challenge", TokenAt: "query:hub.verify_token", tokenRequired: true}, //nolint:gosec // a parameter's name
	},
	{
		// A notification says only whose files have changed. The next change of the same
		// account has the same body, so a hash would lose it.
		name: "dropbox", verifier: hmacSpec{header: "X-Dropbox-Signature", encoding: encodingHex, signed: mustTemplate("{body}")}.with,
		id: []string{noID}, typeOf: func([]byte) string { return "changed" }, reply: plainOK,
		registration: &Challenge{At: "query:challenge"},
	},
	{
		// The action's id. Trello signs the body and the URL with the application's secret.
		// It asks HEAD before, which every source answers.
		name: "trello", signsURL: true,
		verifier: hmacSpec{header: "X-Trello-Webhook", encoding: encodingBase64, hash: sha1.New, signed: mustTemplate("{body}{url}")}.with,
		id:       []string{"/action/id"}, typ: []string{"/action/type"}, reply: plainOK,
	},
	{
		// Zoom repeats a delivery with the same body, which has the event's time.
		name: "zoom", verifier: hmacSpec{
			header: "X-Zm-Signature", prefix: "v0=", encoding: encodingHex, signed: mustTemplate("v0:{timestamp}:{body}"),
			timestamp: "X-Zm-Request-Timestamp", format: unixSeconds,
		}.with,
		id: []string{bodyHash}, typ: []string{"/event"}, reply: plainOK,
		asksForProof: zoomValidates, prove: zoomProof,
	},
	{
		// Event hooks send the secret along, as the value of Authorization, and several
		// events in one body.
		name: "okta", verifier: func(cfg Config, _ *faults) verifier {
			return newCredentials(cfg, credentials{header: authorization})
		},
		id: []string{"/uuid"}, typ: []string{"/eventType"}, items: "/data/events", itemsRequired: true, reply: plainOK,
		registration: &Challenge{At: "header:X-Okta-Verification-Challenge", Member: "verification"},
	},
	{
		// Inbound Parse posts an e-mail as a form, with files, and has neither id nor type.
		name: "sendgrid-inbound", verifier: newSendGrid, id: []string{bodyHash}, typeOf: func([]byte) string { return "inbound" },
	},
	{name: genericHMAC, verifier: newGeneric, id: []string{bodyHash}},
	{name: "basic", verifier: newBasic, id: []string{bodyHash}, challenge: "Basic"},
	{name: "bearer", verifier: newBearer, id: []string{bodyHash}, challenge: "Bearer"},
}

// never says that a body is always one event.
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

// places reads where id, type and items are: as configured, or else as in the table.
func (s *Source) places(cfg Config, f *faults) {
	ids, types := cfg.IDs, cfg.Types
	if cfg.ID != "" {
		ids = [][]string{{cfg.ID}}
	}
	if cfg.Type != "" {
		types = [][]string{{cfg.Type}}
	}
	s.unnamed = slices.Equal(s.scheme.id, []string{noID}) && ids == nil || len(ids) == 1 && slices.Equal(ids[0], []string{noID})
	s.ownType, s.joined = types == nil, types != nil
	switch {
	case s.unnamed:
	case ids != nil:
		s.id = configured("id", ids, f)
	default:
		s.id = alternatives(s.scheme.id...)
	}
	if types != nil {
		s.typ = configured("type", types, f)
	} else {
		s.typ = alternatives(s.scheme.typ...)
	}
	if len(s.typ) == 0 && s.scheme.typeOf == nil && !s.eventType.fixed {
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
