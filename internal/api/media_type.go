package api

import (
	"mime"
	"strings"

	"eventgateway/internal/cloudevent"
	"eventgateway/internal/event"
	"eventgateway/internal/ingest"
)

const (
	mediaTypeCloudEvents = "application/cloudevents" // prefix of every CloudEvents media type
	mediaTypeStructured  = "application/cloudevents+json"
	mediaTypeBatch       = "application/cloudevents-batch+json"
)

// setContentType sets a content type, which must be JSON; none means JSON.
func setContentType(req *ingest.Request, raw string) error {
	mt, err := jsonType(raw)
	if err != nil {
		return err
	}
	req.MediaType = mt
	if raw != "" && raw != mt {
		req.ContentType = raw
	}
	return nil
}

// jsonType checks that a content type is JSON in UTF-8 and returns the media type.
func jsonType(raw string) (string, error) {
	mt, err := parseType(raw)
	if err != nil {
		return "", err
	}
	switch {
	case mt == mediaTypeJSON:
		return mt, nil
	case mt == "application/x-www-form-urlencoded":
		return "", event.Refuse(event.UnsupportedMediaType,
			"The body came as a form, which is what curl -d says unless told otherwise. Add -H 'Content-Type: application/json'.")
	case mt == mediaTypeStructured || mt == mediaTypeBatch:
		return "", event.Refuse(event.UnsupportedMediaType,
			"Structured CloudEvents go to /v1/events. Here, send the event's data as the body and its attributes as ce-* headers.")
	case strings.HasPrefix(mt, "application/") && strings.HasSuffix(mt, "+json"):
		return mt, nil
	}
	return "", event.Refuse(event.UnsupportedMediaType, "This media type is not supported; send JSON with Content-Type: application/json.")
}

// parseType returns the media type in lower case without parameters. A charset, if
// there is one, must be a name of UTF-8.
func parseType(raw string) (string, error) {
	if raw == "" || raw == mediaTypeJSON {
		return mediaTypeJSON, nil
	}
	mt, params, err := mime.ParseMediaType(raw)
	if err != nil || len(raw) > cloudevent.MaxAttributeBytes || !cloudevent.Plain(raw) { // it becomes an attribute
		return "", event.Refuse(event.UnsupportedMediaType, "The Content-Type is ill-formed; send Content-Type: application/json.")
	}
	if charset, ok := params["charset"]; ok && !utf8Labels[strings.ToLower(charset)] {
		return "", event.Refuse(event.UnsupportedMediaType,
			"JSON is UTF-8 (RFC 8259 §8.1); the charset %s is not supported. Write charset=utf-8, or leave it out.", cloudevent.Quote(charset))
	}
	return mt, nil
}

// utf8Labels are the names of UTF-8: the one that is registered with its alias (IANA
// Character Sets, 106), and those that browsers take for it (WHATWG Encoding §4.2).
var utf8Labels = map[string]bool{
	"utf-8": true, "csutf8": true,
	"utf8": true, "unicode-1-1-utf-8": true, "unicode11utf8": true, "unicode20utf8": true, "x-unicode20utf8": true,
}
