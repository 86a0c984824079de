package describe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"eventgateway/internal/event"
	"eventgateway/internal/schema"
)

// operation is POST for one version of one event type, or DELETE for one event type.
type operation struct {
	ID          string            `json:"operationId"`
	Tags        []string          `json:"tags"`
	Summary     string            `json:"summary"`
	Description string            `json:"description"`
	Docs        externalDocs      `json:"externalDocs"`
	Parameters  []json.RawMessage `json:"parameters"`
	Body        *requestBody      `json:"requestBody,omitempty"`
	Responses   json.RawMessage   `json:"responses"`
}

type externalDocs struct {
	Description string `json:"description"`
	URL         string `json:"url"`
}

type requestBody struct {
	Required bool                 `json:"required"`
	Content  map[string]mediaType `json:"content"`
}

type mediaType struct {
	Schema   json.RawMessage `json:"schema"`
	Examples json.RawMessage `json:"examples,omitempty"`
}

// entry is one addition to a place in the document.
type entry struct {
	name  string // empty in a list
	value []byte
}

// OpenAPI is the hand-written description with a path for each version of each event
// type, in two notations.
type OpenAPI struct {
	JSON []byte
	YAML func() []byte // made when it is called
}

// OpenAPI describes the interface with a set of event types.
func (b *Base) OpenAPI(set *schema.Set) (OpenAPI, error) {
	additions, err := b.additions(set, set.Types())
	return OpenAPI{spliceJSON(b.json, additions), func() []byte { return b.spliceYAML(additions) }}, err
}

// OpenAPIOf describes one event type and, besides, only the receipts; without a name it
// describes the interface without event types. Pages cannot show hundreds of event
// types at once, and read a whole document to show one of them.
func (b *Base) OpenAPIOf(set *schema.Set, eventType string) ([]byte, error) {
	types := slices.DeleteFunc(set.Types(), func(t schema.EventType) bool { return t.Name != eventType })
	additions, err := b.additions(set, types)
	if eventType == "" {
		return spliceJSON(b.json, additions), err
	}
	return spliceJSON(b.forOne, additions), err
}

// additions are the entries that event types add, by place.
func (b *Base) additions(set *schema.Set, types []schema.EventType) (map[string][]entry, error) {
	schemas := newComponents("2020-12")
	ids := map[string]bool{}
	additions := map[string][]entry{"parameters": b.parameters}
	var tags []string
	for _, t := range types {
		if tag := tagOf(t.Name); !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
		for _, version := range slices.Backward(t.Versions) { // the newest first
			id := operationID("publish_", t.Name+"_"+version, ids)
			path, item, err := b.path(set, schemas, t, version, id)
			if err != nil {
				return nil, err
			}
			additions["paths"] = append(additions["paths"], entry{path, item})
		}
		if t.Newest.Tombstones {
			path, item, err := b.deletionOf(t, operationID("delete_", t.Name, ids))
			if err != nil {
				return nil, err
			}
			additions["paths"] = append(additions["paths"], entry{path, item})
		}
	}
	for _, tag := range tags {
		item, err := json.Marshal(map[string]string{"name": tag, "description": "Publish events of these types."})
		if err != nil {
			return nil, fmt.Errorf("describe tag: %w", err)
		}
		additions["tags"] = append(additions["tags"], entry{"", item})
	}
	for _, name := range schemas.order {
		additions["schemas"] = append(additions["schemas"], entry{name, schemas.schemas[name]})
	}
	return additions, nil
}

// Anchors are the links to the newest versions of event types in Swagger UI: tag and
// operation.
func Anchors(set *schema.Set) map[string]string {
	ids := map[string]bool{}
	anchors := map[string]string{}
	for _, t := range set.Types() {
		for _, version := range slices.Backward(t.Versions) {
			id := operationID("publish_", t.Name+"_"+version, ids)
			if version == t.Newest.Version {
				anchors[t.Name] = "/" + tagOf(t.Name) + "/" + id
			}
		}
	}
	return anchors
}

// path describes one version. The newest has the path without a version.
func (b *Base) path(set *schema.Set, schemas *components, t schema.EventType, version, id string) (string, []byte, error) {
	v, err := set.Version(t.Name, version)
	if err != nil {
		return "", nil, fmt.Errorf("describe %s: %w", t.Name, err)
	}
	path := "/v1/events/" + t.Name
	op := operation{
		ID: id, Tags: []string{tagOf(t.Name)},
		Summary: summary(t.Name, v), Description: description(v),
		Docs:       externalDocs{"The JSON Schema as it is", "/v1/event-types/" + t.Name + "/schema?version=" + version},
		Parameters: append(slices.Clone(b.refs), headerParameters(v.Definition)...), Responses: b.responses,
	}
	if version == t.Newest.Version {
		pin := fmt.Appendf(nil, `{"name":"version","in":"query","description":"Pins this version: without it, events are held to whichever is the newest.","schema":{"type":"string","enum":[%q]}}`, version)
		op.Parameters = slices.Insert(op.Parameters, 0, json.RawMessage(pin))
	} else {
		path += "/" + version
	}
	body := mediaType{Schema: json.RawMessage("{}"), Examples: examples(v.Examples)}
	if ref, ok := schemas.add(set, t.Name, version); ok {
		body.Schema = fmt.Appendf(nil, `{"$ref":%q}`, ref)
	} else {
		op.Description += fmt.Sprintf("\n\nIts schema (draft %s) cannot be shown here: see the link.", v.Dialect)
	}
	op.Body = &requestBody{Required: true, Content: map[string]mediaType{"application/json": body}}
	item, err := json.Marshal(map[string]operation{"post": op})
	if err != nil {
		return "", nil, fmt.Errorf("describe %s %s: %w", t.Name, version, err)
	}
	return path, item, nil
}

// deletionOf describes the tombstones of an event type, by its newest version.
func (b *Base) deletionOf(t schema.EventType, id string) (string, []byte, error) {
	path := "/v1/events/" + t.Name + "/{key}"
	name := t.Name
	if t.Title != "" {
		name = t.Title
	}
	about := "The entity key, percent-encoded: what `" + strings.Join(t.Newest.KeyPointers, "`, `") + "` holds in events."
	if len(t.Newest.KeyPointers) > 1 {
		about += " The parts are joined with `:`, and `%` and `:` inside them are written `%25` and `%3A` before the whole is percent-encoded."
	}
	key, err := json.Marshal(map[string]any{"name": "key", "in": "path", "required": true, "description": about, "schema": map[string]any{"type": "string", "minLength": 1}})
	if err != nil {
		return "", nil, fmt.Errorf("describe the key of %s: %w", t.Name, err)
	}
	op := operation{
		ID: id, Tags: []string{tagOf(t.Name)}, Summary: name + ": delete an entity",
		Description: fmt.Sprintf("Publishes a tombstone, a record without a value under the entity key, to the Kafka topic `%s`, by version %s. "+
			"It is an event like any other: with an Idempotency-Key or `ce-id` it is written once, and its receipt can be asked for.", t.Newest.Topic, t.Newest.Version),
		Docs:       externalDocs{"The JSON Schema as it is", "/v1/event-types/" + t.Name + "/schema?version=" + t.Newest.Version},
		Parameters: slices.Concat([]json.RawMessage{key}, b.refs, headerParameters(t.Newest)), Responses: b.deletion,
	}
	item, err := json.Marshal(map[string]operation{"delete": op})
	if err != nil {
		return "", nil, fmt.Errorf("describe tombstones of %s: %w", t.Name, err)
	}
	return path, item, nil
}

// headerParameters are the request headers that a version keeps in its records.
func headerParameters(def *event.Definition) []json.RawMessage {
	var list []json.RawMessage
	for _, rule := range def.Headers {
		if strings.EqualFold(rule.Request, "Idempotency-Key") { // every operation has it
			continue
		}
		list = append(list, fmt.Appendf(nil, `{"name":%q,"in":"header","description":"Kept as the record header %s.","schema":{"type":"string","maxLength":1024}}`, rule.Request, rule.Record))
	}
	return list
}

// tagOf is the group of an event type: the first part of its name.
func tagOf(eventType string) string {
	if group, _, ok := strings.Cut(eventType, "."); ok && group != "" {
		return group + ".*"
	}
	return "other event types"
}

// operationID is unique; generated clients name their functions after it.
func operationID(verb, what string, ids map[string]bool) string {
	plain := verb + strings.NewReplacer(".", "_", "-", "_").Replace(what)
	id := plain
	for n := 2; ids[id]; n++ {
		id = fmt.Sprintf("%s_%d", plain, n)
	}
	ids[id] = true
	return id
}

func summary(eventType string, v schema.Version) string {
	if v.Title == "" {
		return eventType + " " + v.Definition.Version
	}
	return v.Title + " (" + v.Definition.Version + ")"
}

// description says in Markdown what happens to an event of this type.
func description(v schema.Version) string {
	def := v.Definition
	var b strings.Builder
	if v.Description != "" {
		b.WriteString(v.Description + "\n\n")
	}
	fmt.Fprintf(&b, "Goes to the Kafka topic `%s`", def.Topic)
	if len(def.KeyPointers) == 0 {
		b.WriteString("; these events belong to no entity and have no order.")
	} else {
		fmt.Fprintf(&b, ", in order per entity; its key is `%s`.", strings.Join(def.KeyPointers, "`, `"))
	}
	if def.IdempotencyRequired {
		b.WriteString(" An `Idempotency-Key` or `ce-id` is required.")
	}
	if def.OnStoreFailure == event.PublishOnStoreFailure {
		b.WriteString(" While the idempotency store is away, events are published without deduplication.")
	}
	if def.BodyLimit > 0 {
		fmt.Fprintf(&b, " The data may have %d bytes.", def.BodyLimit)
	}
	return b.String()
}

// examples as OpenAPI has them: by name.
func examples(list []json.RawMessage) json.RawMessage {
	if len(list) == 0 {
		return nil
	}
	var entries []entry
	for i, each := range list {
		entries = append(entries, entry{fmt.Sprintf("example %d", i+1), fmt.Appendf(nil, `{"value":%s}`, each)})
	}
	return append(append([]byte{'{'}, joined(entries)...), '}')
}

// joined joins entries with commas.
func joined(entries []entry) []byte {
	var b bytes.Buffer
	for i, e := range entries {
		if i > 0 {
			b.WriteByte(',')
		}
		if e.name != "" {
			fmt.Fprintf(&b, "%q:", e.name) // names are plain ASCII
		}
		b.Write(e.value)
	}
	return b.Bytes()
}
