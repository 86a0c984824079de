// Package schema knows the event types: it reads them from a folder
// schemas/<event type>/<version>.json, checks data against their JSON Schemas
// and finds the entity key. It also says what changed between two sets, or two
// versions of one. It is the only user of the jsonschema library and imports of
// internal/ only event and schema/compat.
//
// # The folder
//
//	schemas/orders.placed/v1.json   version 1 of the event type orders.placed
//	schemas/_shared/address.json    a shared schema: a target of $ref, no event type
//	schemas/README.md               ignored, as is every name that starts with "."
//
// Anything else is refused, so that a misnamed file is found at once. Versions
// are v1, v2, …, ordered as numbers. Symbolic links must be relative and stay
// inside the folder, as those of a Kubernetes ConfigMap do.
//
// # The schema files
//
// Draft 4 to 2020-12; a file without "$schema" is 2020-12. "$ref" names another
// file by relative path or by its "$id" and never leaves the folder, let alone
// the machine. A file whose "$id" is https://host/base/orders.placed/v1.json
// makes https://host/base/ another name of the folder, so that relative
// references keep working under an absolute "$id". "format" is asserted (a
// format the library does not know is ignored, as the standard has it); content
// keywords are not. "pattern" is a Go regular expression (RE2: no look-around).
// Every entry of "examples" must be valid and have an entity key.
//
// The keyword "x-event" at the root says what the gateway does with the type:
//
//	"x-event": {
//	  "key": "/orderId",           // required: a JSON Pointer, a list of them, or null
//	  "topic": "orders.placed",    // default: the event type
//	  "idempotency": "required",   // or "optional", the default
//	  "on_store_failure": "reject",// or "publish"; default: the gateway's
//	  "body_limit": "64KiB"        // or bytes as an integer; default: the gateway's
//	}
//
// # The entity key
//
// A string, true, false, or an integer as written ("-0" and "12" are, "1.0" and
// "1e2" are not). Everything else is key-missing, and so is the empty string:
// it names no entity, and all the events that forgot to fill in their key would
// queue behind each other in one partition. Of a list, every part must be
// there; parts are joined with ":" after "%" and ":" inside them have become
// "%25" and "%3A". The text of a single pointer stays as it is.
//
// # Invariants
//
//   - A [Set] never changes. A reload makes a new one and swaps a pointer.
//   - One strict parse (duplicate names, encoding, depth, size of numbers) serves
//     validation and key. It never alters the data: what was checked is what is
//     published, to the byte.
//   - No input makes Check panic: what the library throws becomes an internal
//     error with outcome not-written.
//   - Every error of Check and Lookup is an *event.Error, outcome not-written.
package schema
