package api

import (
	"time"

	"github.com/gofiber/fiber/v2"

	"eventgateway/internal/event"
)

// problem describes one kind of error. Answers and problem pages are made from this
// table; tests compare openapi.yaml and the README with it.
type problem struct {
	status int
	title  string
	// outcomes that the kind can have; most have one.
	outcomes []event.Outcome
	// retryable says whether the same request can succeed later. An unknown
	// outcome without any key is never retryable: a retry could write twice.
	retryable  bool
	retryAfter time.Duration // 0: no Retry-After header
	meaning    string
	action     string
}

var (
	notWritten = []event.Outcome{event.NotWritten}
	unknown    = []event.Outcome{event.Unknown}
	either     = []event.Outcome{event.NotWritten, event.Unknown}
)

// problems is the only place where kinds of error meet HTTP statuses.
var problems = map[event.Kind]problem{
	event.MalformedJSON: {
		status: fiber.StatusBadRequest, title: "The body is not acceptable JSON", outcomes: notWritten,
		meaning: "The body is empty, is not JSON (RFC 8259), repeats a member name, is not valid UTF-8, has a byte order mark or trailing data, nests deeper than 64 levels, or has a number longer than 1,000 characters or with an exponent beyond ±400.",
		action:  "Look at the place that detail names, correct the body, and send it again. The same Idempotency-Key may be used: nothing was stored.",
	},
	event.MalformedRequest: {
		status: fiber.StatusBadRequest, title: "The request is ill-formed", outcomes: notWritten,
		meaning: "A header or query parameter is ill-formed or repeated, the body ends too soon, or it is not what its Content-Encoding says: detail says which.",
		action:  "Correct it and send the request again.",
	},
	event.IdempotencyKeyMissing: {
		status: fiber.StatusBadRequest, title: "This event type needs an Idempotency-Key", outcomes: notWritten,
		meaning: "The event type's schema says idempotency: required, and the request has neither an Idempotency-Key nor a ce-id header.",
		action:  "Choose one value for the event (a UUID, or the id that your own database gave it) and send it as Idempotency-Key, the same one with every retry.",
	},
	event.Unauthenticated: {
		status: fiber.StatusUnauthorized, title: "It is not sure who sent this", outcomes: notWritten,
		meaning: "The request has no valid credentials: none, unknown ones, or ones that have expired. Or a webhook's signature is missing, wrong or too old: detail says which.",
		action:  "Send an API key, or a token, as Authorization: Bearer …, or an API key as X-API-Key or as the password of Basic; the operator makes keys with gateway keys new. For a webhook, compare the secret and the URL that the provider has with the gateway's configuration, and both clocks. Save the request and run gateway webhooks verify to find out which part differs.",
	},
	event.Forbidden: {
		status: fiber.StatusForbidden, title: "The caller may not do this", outcomes: notWritten,
		meaning: "The credentials are valid, but the client is not granted event types of this name, whether there are any or not. Or a browser sent this for a page of another origin that may not call: detail says which.",
		action:  "GET /v1/event-types lists what the client may use. The operator grants others: events, below the client in the gateway's configuration, or in its token; and origins of pages with http.cors.origins.",
	},
	event.UnknownSource: {
		status: fiber.StatusNotFound, title: "No such webhook source", outcomes: notWritten,
		meaning: "The gateway's configuration has no webhook source of the name in the path.",
		action:  "Look at the URL that the provider has: it ends with the name of an entry of webhooks in the gateway's configuration.",
	},
	event.UnknownEventType: {
		status: fiber.StatusNotFound, title: "No such event type or version", outcomes: notWritten,
		meaning: "The gateway has no schema for the event type or version in the path or in the CloudEvent.",
		action:  "GET /v1/event-types lists what there is. Names are case-sensitive. To add a type, put its schema at schemas/<event type>/v1.json.",
	},
	event.NotFound: {
		status: fiber.StatusNotFound, title: "There is nothing here", outcomes: notWritten,
		meaning: "The path is none of the gateway's; or a receipt was asked for, and no such event was written, nor will be unless it is sent again.",
		action:  "Events are posted to /v1/events/{type}. /openapi.yaml describes every path. An event without receipt can be sent.",
	},
	event.MethodNotAllowed: {
		status: fiber.StatusMethodNotAllowed, title: "The method is not allowed here", outcomes: notWritten,
		meaning: "The path exists, but not for this method: the Allow header names those that it has.",
		action:  "Events are published with POST. DELETE /v1/events/{type}/{key} is for event types whose schema has \"tombstones\": true in x-event.",
	},
	event.RequestTimeout: {
		status: fiber.StatusRequestTimeout, title: "The request did not arrive in time", outcomes: notWritten, retryable: true,
		meaning: "The headers and body did not arrive within the gateway's read timeout (http.read_timeout).",
		action:  "Send it again. If it happens often, look at the network, or send smaller bodies.",
	},
	event.RequestInProgress: {
		status: fiber.StatusConflict, title: "Another request with this key is under way", outcomes: unknown, retryable: true, retryAfter: time.Second,
		meaning: "A request with the same Idempotency-Key is being written right now, by this or another gateway; or it was when its gateway died, and its lease still runs.",
		action:  "Wait as long as Retry-After says and send the same request with the same key: you will get the receipt, or the event will be written then.",
	},
	event.EventTooLarge: {
		status: fiber.StatusRequestEntityTooLarge, title: "The event is too large", outcomes: notWritten,
		meaning: "The body, or what it inflates to, is larger than the gateway, the event type, or the Kafka topic accepts, its data has too many names and values, or a batch has too many events: detail names the limit.",
		action:  "Send a batch in parts. Publish a reference to large data instead of the data. The operator can raise http.body_limit together with the topic's max.message.bytes.",
	},
	event.UnsupportedMediaType: {
		status: fiber.StatusUnsupportedMediaType, title: "The body's media type is not supported", outcomes: notWritten,
		meaning: "The Content-Type is not JSON in UTF-8, or the Content-Encoding is not one of those that Accept-Encoding names.",
		action:  "Send JSON with Content-Type: application/json. With curl, add -H 'Content-Type: application/json'; -d alone says that the body is a form.",
	},
	event.SchemaViolation: {
		status: fiber.StatusUnprocessableEntity, title: "The data does not fit its schema", outcomes: notWritten,
		meaning: "The body is JSON but breaks the event type's JSON Schema. errors lists every violation with a JSON Pointer to the place.",
		action:  "Correct the data. GET /v1/event-types/{type}/schema shows the schema, GET /v1/event-types/{type} has valid examples.",
	},
	event.KeyMissing: {
		status: fiber.StatusUnprocessableEntity, title: "The data has no entity key", outcomes: notWritten,
		meaning: "The value that names the event's entity, and thereby its place in the order of events, is missing or is no string, boolean or integer.",
		action:  "Put the entity's id where errors points; in the path of a DELETE, write the key as events of this type have it, percent-encoded.",
	},
	event.IdempotencyKeyReused: {
		status: fiber.StatusUnprocessableEntity, title: "The Idempotency-Key belongs to another event", outcomes: notWritten,
		meaning: "The key was used before with another event type, version, media type or body, and that event keeps it for the idempotency window (idempotency.ttl).",
		action:  "Use a new key for a new event. A retry must repeat the first request to the byte: store the body, not the object it was made from.",
	},
	event.HeldBack: {
		status: fiber.StatusFailedDependency, title: "An earlier event of the same entity was not accepted", outcomes: notWritten, retryable: true,
		meaning: "In the batch, an earlier event with the same entity key failed. This one was not tried, so that it cannot overtake the other.",
		action:  "See to the earlier event first, then send both again in their order: events that were accepted are recognised.",
	},
	event.RateLimited: {
		status: fiber.StatusTooManyRequests, title: "The client calls too often", outcomes: notWritten, retryable: true, retryAfter: time.Second,
		meaning: "The client has made as many calls as its rate allows, over all gateways together. An event counts as one call, a batch as one for each of its events, and so do dry runs and questions for receipts. The header RateLimit-Policy has the rate.",
		action:  "Wait as long as Retry-After says, then send it again, with a pause that grows and a little chance in it. RateLimit says with each answer how many calls are left (r), and in how many seconds there are more (t). The operator grants a higher rate: rate, below the client in the gateway's configuration.",
	},
	event.HeadersTooLarge: {
		status: fiber.StatusRequestHeaderFieldsTooLarge, title: "The headers are too large", outcomes: notWritten,
		meaning: "The request line and headers together are larger than 16 KiB.",
		action:  "Send fewer or shorter headers; large cookies are the usual cause.",
	},
	event.Overloaded: {
		status: fiber.StatusServiceUnavailable, title: "The gateway has too much to do", outcomes: notWritten, retryable: true, retryAfter: time.Second,
		meaning: "Requests hold as many bytes as they may (http.in_flight_limit): they are being read, wait for Kafka or the idempotency store, or their answers are not read. Or so many events are being checked that this one waited in vain for its turn.",
		action:  "Send it again after Retry-After, with a pause that grows and a little chance in it.",
	},
	event.LogUnavailable: {
		status: fiber.StatusServiceUnavailable, title: "Kafka cannot take the event", outcomes: notWritten, retryable: true, retryAfter: time.Second,
		meaning: "Kafka cannot be reached or does not confirm the gateway's registration, the event type's topic does not exist, or Kafka refused the event. Nothing was written.",
		action:  "Send it again after Retry-After. The operator finds the cause in the gateway's log, and whether Kafka answers at /readyz on the admin listener.",
	},
	event.IdempotencyStoreUnavailable: {
		status: fiber.StatusServiceUnavailable, title: "The idempotency store cannot be used", outcomes: notWritten, retryable: true, retryAfter: time.Second,
		meaning: "Redis does not answer, or it is new or has lost data and the gateway is reading from Kafka what was written. Until then it cannot promise that the event is written only once; it was not written.",
		action:  "Send it again with the same key after Retry-After. Event types for which service matters more can say on_store_failure: publish in their schema.",
	},
	event.OutcomeUnknown: {
		status: fiber.StatusGatewayTimeout, title: "It is unknown whether the event was written", outcomes: unknown, retryable: true, retryAfter: time.Second,
		meaning: "Kafka did not acknowledge the event in time. It may be in the log, or may not.",
		action:  "Send the same request with the same Idempotency-Key until you get another answer, or ask GET /v1/receipts?idempotency_key=… what became of it. Without a key a retry may write the event twice: prefer keys.",
	},
	event.Internal: {
		status: fiber.StatusInternalServerError, title: "The gateway failed", outcomes: either, retryable: true,
		meaning: "An error in the gateway itself. outcome says whether anything can have been written.",
		action:  "With an Idempotency-Key, send it again. Tell the operator the time: the details are in the gateway's log.",
	},
}
