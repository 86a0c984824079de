package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"eventgateway/internal/event"
	"eventgateway/internal/strictjson"
)

// maxItems bounds the events of one body.
const maxItems = 1000

const (
	mediaJSON = "application/json"
	mediaForm = "application/x-www-form-urlencoded"
)

// content is the body of a verified request, read once.
type content struct {
	header    http.Header
	data      []byte // strict JSON; the body itself if there is a fault
	mediaType string
	hash      string       // SHA-256 in hex of the raw body; of data, if it was made from a multipart form
	form      bool         // data was made from the fields of a form
	fault     *event.Error // why data is not JSON
}

// read turns the body into JSON. The error is a body beyond the limits.
func (s *Source) read(r Request) (content, *event.Error) {
	sum := sha256.Sum256(r.Body)
	c := content{header: r.Header, data: r.Body, hash: hex.EncodeToString(sum[:]), mediaType: mediaJSON}
	media := mediaType(r.Header.Get("Content-Type"))
	switch media {
	case mediaForm:
		fields, fault, tooMany := parseForm(string(r.Body))
		return s.readForm(c, media, r.Limit, fields, fault, tooMany)
	case mediaMultipart:
		fields, fault, tooMany := parseMultipart(r.Header.Get("Content-Type"), r.Body)
		return s.readForm(c, media, r.Limit, fields, fault, tooMany)
	}
	c.fault = checkJSON(r.Body)
	isJSON := media == "" || media == mediaJSON || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json")
	switch {
	case isJSON && media != "":
		c.mediaType = media
	case c.fault != nil && !isJSON:
		c.mediaType = media
		c.fault = event.Refuse(event.UnsupportedMediaType, "The body is %q and not JSON; only JSON and forms can be published.", shorten(media))
	}
	return c, nil
}

// mediaType is a Content-Type without its parameters; an ill-formed one stays whole.
func mediaType(sent string) string {
	media, _, err := mime.ParseMediaType(sent)
	if err != nil && media == "" {
		return strings.ToLower(strings.TrimSpace(sent))
	}
	return media
}

// readForm turns a form into a JSON object, or takes the JSON from the one field
// that the scheme puts everything into.
func (s *Source) readForm(c content, media string, limit int, fields []formField, fault, tooMany *event.Error) (content, *event.Error) {
	if tooMany != nil {
		return content{}, tooMany
	}
	if fault != nil {
		c.fault, c.mediaType = fault, media
		return c, nil
	}
	if payload, ok := formValue(fields, s.scheme.formPayload); ok && s.scheme.formPayload != "" {
		if c.fault = checkJSON([]byte(payload)); c.fault != nil {
			c.mediaType = media
			return c, nil
		}
		c.data = []byte(payload)
		return c, nil
	}
	data := formJSON(fields)
	if limit > 0 && len(data) > limit {
		c.mediaType = media
		c.fault = event.Refuse(event.EventTooLarge, "The form is %d bytes as JSON, files in base64; %d are allowed.", len(data), limit)
		return c, nil
	}
	c.data, c.form = data, true
	if media == mediaMultipart { // an attempt may have another boundary
		sum := sha256.Sum256(data)
		c.hash = hex.EncodeToString(sum[:])
	}
	return c, nil
}

// itemsRule says which array has one event per item.
type itemsRule struct {
	pointer  strictjson.Pointer
	required bool // a body without that array is a fault
}

// deliveries makes one delivery from the body, or one from each item.
func (s *Source) deliveries(c content) (Intake, error) {
	if c.fault != nil || s.items == nil {
		return Intake{Deliveries: []Delivery{s.delivery(c, c.data, "")}}, nil
	}
	all, found, over := s.items.pointer.Items(c.data, maxItems)
	if !found {
		if s.items.required {
			c.fault = event.Refuse(event.MalformedRequest, "The body has no array of events at %q.", s.items.pointer.String())
		}
		return Intake{Deliveries: []Delivery{s.delivery(c, c.data, "")}}, nil
	}
	switch {
	case over:
		return Intake{}, event.Refuse(event.MalformedRequest,
			"The body has more than %d events; have the provider send smaller batches.", maxItems)
	case len(all) == 0: // after an error the provider would send it again
		return Intake{Answer: plainAnswer("no events\n")}, nil
	}
	in := Intake{Deliveries: make([]Delivery, len(all))}
	for i, item := range all {
		in.Deliveries[i] = s.delivery(c, item, ":"+strconv.Itoa(i))
	}
	return in, nil
}

// delivery maps one event. The suffix makes the ids of the items of one body differ.
func (s *Source) delivery(c content, data []byte, suffix string) Delivery {
	d := Delivery{ID: c.hash + suffix, Data: data, MediaType: c.mediaType, Err: c.fault}
	if s.unnamed {
		d.ID = ""
	}
	if c.fault != nil {
		return d
	}
	found := strictjson.FindAll(data, s.pointers)
	providerType := ""
	if !s.eventType.fixed {
		providerType = s.providerType(c, data, found)
	}
	d.EventType = s.eventType.name(providerType)
	id, of := first(s.id, c, found)
	switch {
	case d.EventType == "" && providerType == "":
		d.Err = event.Refuse(event.MalformedRequest, "The delivery's type is missing; it is expected at %s.", where(s.typ))
	case d.EventType == "":
		d.Err = event.Refuse(event.MalformedRequest, "The delivery's type does not make an event type: %q.", shorten(providerType))
	case s.unnamed:
	case id == "":
		d.Err = event.Refuse(event.MalformedRequest, "The delivery's id is missing; it is expected at %s.", where(s.id))
	case !fit(id):
		d.Err = event.Refuse(event.MalformedRequest, "The delivery's id, at %s, is longer than %d bytes or has control characters.", of, maxText)
	default:
		d.ID = id
		if of.ofBody() {
			d.ID += suffix
		}
	}
	return d
}

func (s *Source) providerType(c content, data []byte, found [][]byte) string {
	if s.joined {
		return joinedType(s.typ, c, found)
	}
	if t, _ := first(s.typ, c, found); t != "" || s.scheme.typeOf == nil || !s.ownType {
		return t
	}
	return s.scheme.typeOf(data)
}
