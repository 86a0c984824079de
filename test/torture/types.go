package torture

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// The event types: of most single events and of batches, of each webhook source, one
// without entity, and one whose topic takes small records only.
const (
	orderType = "torture.order"
	paidType  = "torture.paid"
	fanType   = "torture.fan"
	noteType  = "torture.note"
	scanType  = "torture.scan"
)

// The types whose topics refuse records during the fault "refusals", each for another
// reason.
const (
	deniedType    = "torture.denied"    // no permission to write
	compactedType = "torture.compacted" // records need a key
	sizedType     = "torture.sized"     // max.message.bytes
	datedType     = "torture.dated"     // message.timestamp.before.max.ms
)

// blastType is the only type of [Blast]; its topic has the same name.
const blastType = "torture.blast"

// The topics that several types or rules name. Dead letters are deliveries that do not
// fit their schema.
const (
	ordersTopic = "torture"
	deadTopic   = "torture.dead"
)

// eventType is what the harness must know of a type.
type eventType struct {
	topic   string
	key     string // JSON Pointer of the entity; "": none
	data    string // its schema, without the braces
	limit   int    // max.message.bytes of the topic; 0: Kafka's default
	refuses bool   // its topic refuses during the fault "refusals"
	blast   bool   // only Blast has it
}

// scanLimit is max.message.bytes of the topic that takes small records only.
const scanLimit = 64 << 10

// eventTypes are all types, by name.
func eventTypes() map[string]eventType {
	refusing := func(name, key string) eventType {
		return eventType{topic: name, key: key, data: eventSchema, refuses: true}
	}
	return map[string]eventType{
		orderType: {topic: ordersTopic, key: "/entity", data: eventSchema},
		paidType:  {topic: ordersTopic, key: "/data/object/entity", data: paidSchema},
		fanType:   {topic: ordersTopic, key: "/entity", data: eventSchema},
		noteType:  {topic: "torture.notes", data: eventSchema},
		scanType:  {topic: "torture.scans", key: "/entity", data: eventSchema, limit: scanLimit},

		blastType: {topic: blastType, key: "/entity", data: eventSchema, blast: true},

		deniedType:    refusing(deniedType, "/entity"),
		compactedType: refusing(compactedType, ""),
		sizedType:     refusing(sizedType, "/entity"),
		datedType:     refusing(datedType, "/entity"),
	}
}

// topics are those of all types, and that of dead letters, with their max.message.bytes.
func topics() map[string]int {
	all := map[string]int{deadTopic: 0}
	for _, t := range eventTypes() {
		if !t.blast {
			all[t.topic] = t.limit
		}
	}
	return all
}

// topicNames are sorted.
func topicNames() []string { return slices.Sorted(maps.Keys(topics())) }

const schemaText = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "x-event": { "topic": %q, "key": %s, "idempotency": "required" },
  %s
}
`

// eventSchema describes the members of all events; a delivery of the scheme stripe has
// them inside.
const eventSchema = `"type": "object", "required": ["entity", "seq"],
  "properties": { "entity": { "type": "string" }, "seq": { "type": "integer" }, "key": { "type": "string" } }`

const paidSchema = `"type": "object", "required": ["id", "data"],
  "properties": { "data": { "type": "object", "required": ["object"], "properties": { "object": { ` + eventSchema + ` } } } }`

// writeSchemas writes the schemas of all types: Blast's, or the others.
func writeSchemas(dir string, blast bool) error {
	for name, t := range eventTypes() {
		if t.blast != blast {
			continue
		}
		key := "null"
		if t.key != "" {
			key = fmt.Sprintf("%q", t.key)
		}
		folder := filepath.Join(dir, name)
		err := errors.Join(
			os.MkdirAll(folder, 0o755),
			os.WriteFile(filepath.Join(folder, "v1.json"), fmt.Appendf(nil, schemaText, t.topic, key, t.data), 0o600))
		if err != nil {
			return fmt.Errorf("write schema: %w", err)
		}
	}
	return nil
}

// padding is n bytes of text that follow from the name and do not compress well: what
// a broker compares with max.message.bytes is compressed.
func padding(name string, n int) string {
	raw := make([]byte, base64.RawURLEncoding.DecodedLen(n)+1)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(name))).Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)[:n]
}

// longestValue is the size from which the harness keeps a value's hash in its place:
// a run's whole log is in memory.
const longestValue = 4 << 10

// shorten returns a value as [Record] has it.
func shorten(value string) string {
	if len(value) <= longestValue {
		return value
	}
	const shown = 200
	sum := sha256.Sum256([]byte(value))
	return fmt.Sprintf("%s… %d bytes, SHA-256 %s", value[:shown], len(value), hex.EncodeToString(sum[:]))
}
