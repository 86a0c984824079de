package describe

import (
	"encoding/json"

	"eventgateway/internal/event"
)

// envelope describes the value of a record in structured mode: the event in the
// JSON format (CloudEvents JSON event format 1.0), whose data fit a schema.
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

// envelopeExample is an example of data in its envelope.
func envelopeExample(def *event.Definition, data json.RawMessage) json.RawMessage {
	return event.Structured(def, event.Attributes{
		ID: "A234-1234-1234", Source: "/shops/berlin", Time: "2026-11-23T09:15:31.02Z",
	}, "application/json", "", data)
}
