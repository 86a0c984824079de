package event

// MediaTypeStructured is the content type of a record in structured mode
// (CloudEvents Kafka binding 1.0 §3.3).
const MediaTypeStructured = "application/cloudevents+json; charset=UTF-8"

// Structured makes the record's value in structured mode: the event in the JSON format
// (CloudEvents JSON event format 1.0). data must be JSON and is embedded byte for byte.
func Structured(def *Definition, a Attributes, contentType, dataSchema string, data []byte) []byte {
	b := make([]byte, 0, len(data)+512)
	member := func(name, value string) {
		if value != "" {
			b = appendString(append(appendString(append(b, ','), name), ':'), value)
		}
	}
	b = append(b, `{"specversion":"1.0"`...)
	member("id", a.ID)
	member("type", def.Type)
	member("source", a.Source)
	member("time", a.Time)
	member("datacontenttype", contentType)
	member("dataschema", dataSchema)
	member("subject", a.Subject)
	for _, x := range a.Extensions {
		if !x.Literal {
			member(x.Name, x.Value)
			continue
		}
		b = append(append(appendString(append(b, ','), x.Name), ':'), x.Value...)
	}
	b = append(append(b, `,"data":`...), data...)
	return append(b, '}')
}
