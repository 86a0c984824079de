// Package schema knows the event types: it reads them from a folder
// schemas/<event type>/<version>.json, checks data against their JSON Schemas
// and finds the entity key. It also says what changed between two sets, or between
// two versions of an event type. It is the only user of the jsonschema library. Of
// internal/ it imports only backoff, budget, event, filewatch, schema/compat, schema/ecma,
// schema/formats, spelling and strictjson.
//
// # The folder
//
//	schemas/orders.placed/v1.json   version 1 of the event type orders.placed
//	schemas/_shared/address.json    a shared schema: a target of $ref, not an event type
//	schemas/README.md               ignored, as is every name that starts with "."
//
// Anything else is refused, so that a misnamed file is noticed at once. Versions
// are v1, v2, …, ordered as numbers. Symbolic links must be relative and stay
// inside the folder, as in a Kubernetes ConfigMap.
//
// # The schema files
//
// Draft 4 to 2020-12; a file without "$schema" is 2020-12. "$ref" names another
// file by relative path or by its "$id"; it cannot leave the folder, and nothing is
// loaded from a network. A file whose "$id" is
// https://host/base/orders.placed/v1.json makes https://host/base/ another name of
// the folder, so that relative references keep working under an absolute "$id".
// "format" is asserted (an unknown format is ignored, as the standard says); content
// keywords are not. "pattern" is an expression of ECMA 262 that RE2 can express: no
// look-around, no back references.
// Every entry of "examples" must be valid and have an entity key.
//
// The keyword "x-event" at the root says what the gateway does with the type:
//
//	"x-event": {
//	  "key": "/orderId",           // required: a JSON Pointer, a list of them, or null
//	  "topic": "orders.placed",    // default: the event type
//	  "idempotency": "required",   // or "optional", the default
//	  "on_store_failure": "reject",// or "publish"; default: the gateway's
//	  "body_limit": "64KiB",       // or bytes as an integer; default: the gateway's
//	  "headers": {"X-Tenant-Id": "tenant-id"}, // request headers that become record headers; or a list
//	  "tombstones": true           // a record without a value may be published under a key
//	}
//
// # The entity key
//
// A string, true, false, or an integer as written ("-0" and "12" are integers, "1.0"
// and "1e2" are not). Everything else is key-missing, and so is the empty string: it
// identifies no entity, and all events whose key was forgotten would wait for each
// other in one partition. If there are several pointers, every part must be there;
// the parts are joined with ":" after "%" and ":" inside them have become "%25" and
// "%3A". The text at a single pointer stays as it is.
//
// # Invariants
//
//   - A [Set] never changes. A reload makes a new one and swaps a pointer.
//   - One strict parse (package strictjson) serves validation and key. It never
//     changes the data: the bytes that were checked are published.
//   - No input makes Check panic: a panic of the library becomes an internal error
//     with outcome not-written.
//   - The work of one validation is bounded, for every schema and event: see run. The
//     library sees only what is wrong, and only its errors refuse.
//   - Every error of Check and Lookup is an *event.Error, outcome not-written.
package schema
