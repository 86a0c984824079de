package webhook

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"unicode/utf8"

	"eventgateway/internal/event"
)

const mediaMultipart = "multipart/form-data"

// parseMultipart reads multipart/form-data (RFC 7578) in the order it was sent. A file,
// and a text that is not UTF-8, is an object with filename, content_type and content, in
// base64. tooMany is set for a form beyond the limit, fault for an ill-formed one.
func parseMultipart(contentType string, body []byte) (fields []formField, fault, tooMany *event.Error) {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || parameters["boundary"] == "" {
		return nil, event.Refuse(event.MalformedRequest, "The form is ill-formed: its Content-Type has no boundary."), nil
	}
	reader := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for {
		part, err := reader.NextPart()
		switch {
		case errors.Is(err, io.EOF) && len(fields) == 0:
			return nil, event.Refuse(event.MalformedRequest, "The form has no fields."), nil
		case errors.Is(err, io.EOF):
			return fields, nil, nil
		case err != nil:
			return nil, illFormedPart(len(fields)), nil
		case len(fields) == maxFields:
			return nil, nil, tooManyFields()
		}
		data, err := io.ReadAll(part)
		name := part.FormName()
		if err != nil || name == "" || !utf8.ValidString(name) {
			return nil, illFormedPart(len(fields)), nil
		}
		fields = append(fields, partField(name, part, data))
	}
}

func illFormedPart(before int) *event.Error {
	return event.Refuse(event.MalformedRequest, "Part %d of the form is ill-formed or has no name.", before+1)
}

func tooManyFields() *event.Error {
	return event.Refuse(event.MalformedRequest, "The form has more than %d fields; have the provider send fewer, or JSON.", maxFields)
}

func partField(name string, part *multipart.Part, data []byte) formField {
	file := part.FileName()
	if file == "" && utf8.Valid(data) {
		return formField{name: name, value: string(data)}
	}
	out := []byte{'{'}
	if file != "" {
		out = append(quote(append(out, `"filename":`...), strings.ToValidUTF8(file, "\ufffd")), ',')
	}
	if kind := part.Header.Get("Content-Type"); kind != "" {
		out = append(quote(append(out, `"content_type":`...), strings.ToValidUTF8(kind, "\ufffd")), ',')
	}
	out = append(out, `"content":"`...)
	out = base64.StdEncoding.AppendEncode(out, data)
	return formField{name: name, object: append(out, `"}`...)}
}
