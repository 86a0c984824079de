package describe

import (
	"encoding/json"
	"fmt"
	"slices"

	"eventgateway/internal/event"
	"eventgateway/internal/schema"
)

// kafkaBinding is the version of the AsyncAPI Kafka bindings.
const kafkaBinding = "0.5.0"

type (
	asyncDocument struct {
		AsyncAPI    string                    `json:"asyncapi"`
		Info        asyncInfo                 `json:"info"`
		ContentType string                    `json:"defaultContentType"`
		Channels    map[string]asyncChannel   `json:"channels"`
		Operations  map[string]asyncOperation `json:"operations"`
		Components  asyncComponents           `json:"components"`
	}
	asyncInfo struct {
		Title       string `json:"title"`
		Version     string `json:"version"`
		Description string `json:"description"`
	}
	asyncChannel struct {
		Address     string               `json:"address"`
		Description string               `json:"description"`
		Messages    map[string]reference `json:"messages"`
		Bindings    map[string]any       `json:"bindings"`
	}
	asyncOperation struct {
		Action   string      `json:"action"`
		Channel  reference   `json:"channel"`
		Summary  string      `json:"summary"`
		Messages []reference `json:"messages"`
	}
	asyncComponents struct {
		Messages map[string]asyncMessage    `json:"messages"`
		Schemas  map[string]json.RawMessage `json:"schemas,omitempty"`
	}
	asyncMessage struct {
		Name        string         `json:"name"`
		Title       string         `json:"title,omitempty"`
		Summary     string         `json:"summary,omitempty"`
		ContentType string         `json:"contentType,omitempty"`
		Headers     any            `json:"headers"`
		Payload     any            `json:"payload"`
		Bindings    map[string]any `json:"bindings"`
		Examples    []asyncExample `json:"examples,omitempty"`
	}
	asyncExample struct {
		Payload json.RawMessage `json:"payload"`
	}
	reference struct {
		Ref string `json:"$ref"`
	}
	object map[string]any
)

// The meaning of attributes, in headers and in structured values.
const (
	aboutID         = "Identifies the event within its source: the same for every attempt to publish it."
	aboutSource     = "Where the event comes from; /clients/ and the client's name unless the client said otherwise."
	aboutTime       = "When it happened, as the client said, or when the gateway took it."
	aboutDataSchema = "Where the JSON Schema is, if the gateway knows its public address or the schema has an absolute $id."
	aboutSubject    = "What the event is about within its source."
	jsonTypes       = "application/json, or application/ and a name that ends in +json, with the parameters that the client sent."
)

// AsyncAPI describes what consumers find in Kafka, as an AsyncAPI 3.0 document: a
// channel for each topic with the messages of all its event types. Payloads are
// translated to draft 7, of which AsyncAPI's schemas are a superset.
func AsyncAPI(set *schema.Set) ([]byte, error) {
	doc := asyncDocument{
		AsyncAPI: "3.0.0", ContentType: "application/json",
		Info: asyncInfo{
			Title: "Events in Kafka", Version: "1",
			Description: "What the event gateway writes. Values are the events' data to the byte; everything else about them is in the record's headers (CloudEvents 1.0, Kafka binding, binary mode). " +
				"Where the content type is application/cloudevents+json, the value is the whole event instead (structured mode), and the headers are there, too. " +
				"Records of one key are in order. Be idempotent on ce_id; with kafka.guarantee: transactional, read committed.",
		},
		Channels: map[string]asyncChannel{}, Operations: map[string]asyncOperation{},
		Components: asyncComponents{Messages: map[string]asyncMessage{}, Schemas: map[string]json.RawMessage{}},
	}
	schemas := newComponents("7")
	for _, t := range set.Types() {
		for _, version := range t.Versions {
			v, err := set.Version(t.Name, version)
			if err != nil {
				return nil, fmt.Errorf("describe %s: %w", t.Name, err)
			}
			doc.add(message(set, schemas, v), v.Definition)
			if v.Definition.Tombstones {
				doc.add(tombstone(v), v.Definition)
			}
		}
	}
	for _, name := range schemas.order {
		doc.Components.Schemas[name] = schemas.schemas[name]
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("describe events: %w", err)
	}
	return text, nil
}

// add puts a message into its topic's channel.
func (d *asyncDocument) add(m asyncMessage, def *event.Definition) {
	channel, ok := d.Channels[def.Topic]
	if !ok {
		channel = asyncChannel{
			Address: def.Topic, Description: "The Kafka topic " + def.Topic + ".", Messages: map[string]reference{},
			Bindings: map[string]any{"kafka": object{"topic": def.Topic, "bindingVersion": kafkaBinding}},
		}
	}
	channel.Messages[m.Name] = reference{"#/components/messages/" + m.Name}
	d.Channels[def.Topic] = channel
	d.Components.Messages[m.Name] = m

	op := d.Operations[def.Topic]
	op.Action, op.Channel = "send", reference{"#/channels/" + def.Topic}
	op.Summary = "The gateway writes accepted events to " + def.Topic + "."
	op.Messages = append(op.Messages, reference{"#/channels/" + def.Topic + "/messages/" + m.Name})
	d.Operations[def.Topic] = op
}

func message(set *schema.Set, schemas *components, v schema.Version) asyncMessage {
	def := v.Definition
	m := asyncMessage{
		Name: def.Type + "." + def.Version, Title: summary(def.Type, v), Summary: v.Description, ContentType: "application/json",
		Headers: headers(def), Payload: object{"description": "Its schema cannot be shown here: see /v1/event-types/" + def.Type + "/schema?version=" + def.Version + "."},
		Bindings: map[string]any{"kafka": object{"key": key(def), "bindingVersion": kafkaBinding}},
	}
	if ref, ok := schemas.add(set, def.Type, def.Version); ok {
		m.Payload = reference{ref}
	}
	if def.Structured {
		m.ContentType, m.Payload = "application/cloudevents+json", envelope(def, m.Payload)
	}
	for _, each := range v.Examples {
		if def.Structured {
			each = envelopeExample(def, each)
		}
		m.Examples = append(m.Examples, asyncExample{each})
	}
	return m
}

// tombstone describes the record without a value that deletes an entity.
func tombstone(v schema.Version) asyncMessage {
	def := v.Definition
	described := headers(def)
	properties, _ := described["properties"].(object)
	required, _ := described["required"].([]string)
	for _, absent := range []string{event.HeaderContentType, event.HeaderDataSchema} { // they are about a value
		delete(properties, absent)
		required = slices.DeleteFunc(required, func(name string) bool { return name == absent })
	}
	described["required"] = required
	return asyncMessage{
		Name: def.Type + "." + def.Version + ".tombstone", Title: summary(def.Type, v) + ": deleted",
		Summary: "A record without a value: the entity of its key is deleted. A compacted topic forgets its older records, and some time later this one.",
		Headers: described, Payload: object{"type": "null"},
		Bindings: map[string]any{"kafka": object{"key": key(def), "bindingVersion": kafkaBinding}},
	}
}

// key describes the record's key.
func key(def *event.Definition) object {
	switch len(def.KeyPointers) {
	case 0:
		return object{"type": "null", "description": "No key: the events belong to no entity and may be in any partition."}
	case 1:
		return object{"type": "string", "description": "The value at " + def.KeyPointers[0] + ", as text."}
	default:
		return object{"type": "string", "description": fmt.Sprintf("The values at %q, joined with \":\"; \"%%\" and \":\" inside them are percent-encoded.", def.KeyPointers)}
	}
}

// headers describes the record's headers. All are UTF-8 text.
func headers(def *event.Definition) object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	contentType := text("The media type of the value: " + jsonTypes)
	if def.Structured {
		contentType = object{"type": "string", "const": event.MediaTypeStructured}
	}
	properties := object{
		event.HeaderSpecVersion: object{"type": "string", "const": "1.0"},
		event.HeaderID:          text(aboutID),
		event.HeaderType:        object{"type": "string", "const": def.Type},
		event.HeaderSource:      object{"type": "string", "format": "uri-reference", "description": aboutSource},
		event.HeaderTime:        object{"type": "string", "format": "date-time", "description": aboutTime},
		event.HeaderContentType: contentType,
		event.HeaderVersion:     object{"type": "string", "const": def.Version, "description": "The version of the event type that the value was held to."},
		event.HeaderDataSchema:  object{"type": "string", "format": "uri", "description": aboutDataSchema},
		event.HeaderSubject:     text(aboutSubject),
		event.HeaderTraceParent: text("W3C trace context."),
		event.HeaderTraceState:  text("W3C trace state."),
		event.HeaderClaim:       object{"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "The gateway's: identifies the idempotency key."},
		event.HeaderFingerprint: object{"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "The gateway's: identifies the request."},
	}
	for _, rule := range def.Headers {
		properties[rule.Record] = text("The request header " + rule.Request + ", if it was sent.")
	}
	required := []string{
		event.HeaderSpecVersion, event.HeaderID, event.HeaderType, event.HeaderSource, event.HeaderTime, event.HeaderContentType, event.HeaderVersion,
	}
	slices.Sort(required)
	return object{"type": "object", "required": required, "properties": properties}
}

// envelope describes the value of a record in structured mode: the event in the JSON
// format (CloudEvents JSON event format 1.0), with data of a schema.
func envelope(def *event.Definition, data any) object {
	text := func(description string) object {
		return object{"type": "string", "minLength": 1, "description": description}
	}
	return object{
		"type":     "object",
		"required": []string{"specversion", "id", "type", "source", "time", "datacontenttype", "data"},
		"properties": object{
			"specversion":     object{"type": "string", "const": "1.0"},
			"id":              text(aboutID),
			"type":            object{"type": "string", "const": def.Type},
			"source":          object{"type": "string", "minLength": 1, "format": "uri-reference", "description": aboutSource},
			"time":            object{"type": "string", "format": "date-time", "description": aboutTime},
			"datacontenttype": text("The media type of data: " + jsonTypes),
			"dataschema":      object{"type": "string", "format": "uri", "description": aboutDataSchema},
			"subject":         text(aboutSubject),
			"data":            data,
		},
		"additionalProperties": object{"type": []string{"string", "integer", "boolean"}, "description": "Extension attributes."},
	}
}

// envelopeExample is an example of data inside its event.
func envelopeExample(def *event.Definition, data json.RawMessage) json.RawMessage {
	return event.Structured(def, event.Attributes{
		ID: "A234-1234-1234", Source: "/shops/berlin", Time: "2026-11-23T09:15:31.02Z",
	}, "application/json", "", data)
}
