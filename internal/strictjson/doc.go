// Package strictjson is the gateway's one strict reading of JSON (RFC 8259,
// and of RFC 7493 what concerns strings and names): UTF-8 without a byte order
// mark, no member name twice in an object, exactly one value, bounded depth.
//
// [Parse] makes a tree, [Check] only says whether there would be one, and a
// [Pointer] (RFC 6901) finds values in a tree or in the text itself. Neither
// changes the text, and what is found in a text is a slice of it.
//
// An [Error] says what is wrong and where. Each caller writes its own message.
//
// # Invariants
//
//   - No input makes it panic. Work and memory are linear in the text.
//   - What Parse accepts, Check accepts. Parse refuses a little more: numbers and
//     paths that would make a validator slow, and Check's callers do not validate.
//
// It imports only the standard library and jsontext.
package strictjson
