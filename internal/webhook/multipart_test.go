package webhook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"testing"

	"github.com/stretchr/testify/require"

	"eventgateway/internal/event"
)

// part is one part of a form.
type part struct{ name, file, kind, data string }

func multipartBody(t testing.TB, boundary string, parts ...part) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	require.NoError(t, w.SetBoundary(boundary))
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q`, p.name)}}
		if p.file != "" {
			h.Set("Content-Disposition", fmt.Sprintf(`form-data; name=%q; filename=%q`, p.name, p.file))
		}
		if p.kind != "" {
			h.Set("Content-Type", p.kind)
		}
		out, err := w.CreatePart(h)
		require.NoError(t, err)
		_, err = out.Write([]byte(p.data))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return w.FormDataContentType(), b.Bytes()
}

// mailgunRoute is what a route forwards of an e-mail with a file.
func mailgunRoute(t testing.TB, boundary, signature string) Request {
	t.Helper()
	kind, body := multipartBody(t, boundary,
		part{name: "recipient", data: "info@example.com"}, part{name: "subject", data: "Grüße"}, part{name: "body-plain", data: "two\r\nlines"},
		part{name: "attachment-count", data: "1"}, part{name: "timestamp", data: "1700000000"}, part{name: "token", data: "t0ken"},
		part{name: "signature", data: signature},
		part{name: "attachment-1", file: "a b.pdf", kind: "application/pdf", data: "%PDF\x00\xff"},
	)
	return Request{Header: header("Content-Type", kind), Body: body}
}

func TestMailgunRoutesWithFiles(t *testing.T) {
	t.Parallel()
	mac := hmac.New(sha256.New, []byte("key"))
	mac.Write([]byte("1700000000t0ken"))
	signature := hex.EncodeToString(mac.Sum(nil))
	s, err := New(Config{Name: "mail", Scheme: "mailgun", Secrets: []string{"key"}, EventType: "mail.{type}"})
	require.NoError(t, err)
	d := requireVerified(t, s, mailgunRoute(t, "boundary", signature), now)
	require.Len(t, d, 1)
	require.Equal(t, "mail.inbound", d[0].EventType)
	require.Equal(t, "t0ken", d[0].ID)
	require.Equal(t, "application/json", d[0].MediaType)
	require.Equal(t, `{"recipient":"info@example.com","subject":"Grüße","body-plain":"two\r\nlines","attachment-count":"1","timestamp":"1700000000","token":"t0ken",`+
		`"signature":"`+signature+`","attachment-1":{"filename":"a b.pdf","content_type":"application/pdf","content":"JVBERgD/"}}`, string(d[0].Data))

	_, err = s.Receive(mailgunRoute(t, "boundary", "00"+signature[2:]), now)
	requireRejection(t, err, SignatureMismatch)
	_, err = s.Receive(mailgunRoute(t, "boundary", "x"), now)
	requireRejection(t, err, MalformedBody)

	// What does not fit as JSON is kept as it came.
	r := mailgunRoute(t, "boundary", signature)
	r.Limit = 100
	in, err := s.Receive(r, now)
	require.NoError(t, err)
	require.Equal(t, event.EventTooLarge, in.Deliveries[0].Err.Kind)
	require.Equal(t, r.Body, in.Deliveries[0].Data)
	require.Equal(t, "multipart/form-data", in.Deliveries[0].MediaType)
}

func TestSendGridInbound(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Name: "mail", Scheme: "sendgrid-inbound", Secrets: []string{sendgridPublic}, EventType: "mail.{type}"})
	require.NoError(t, err)
	receive := func(boundary string) Delivery {
		kind, body := multipartBody(t, boundary,
			part{name: "headers", data: "From: a@example.com\n"}, part{name: "text", kind: "text/plain; charset=iso-8859-1", data: "Gr\xfc\xdfe"},
			part{name: "attachments", data: "2"}, part{name: "attachment1", file: "a.txt", data: "a"}, part{name: "attachment1", file: "b.txt", data: "b"})
		r := Request{Method: http.MethodPost, URL: "/x", Header: header("Content-Type", kind), Body: body}
		signSendgrid(t, sendgridPublic, &r, now)
		return requireVerified(t, s, r, now)[0]
	}
	first := receive("one")
	require.Equal(t, "mail.inbound", first.EventType)
	want := `{"headers":"From: a@example.com\n","text":{"content_type":"text/plain; charset=iso-8859-1","content":"R3L832U="},"attachments":"2",` +
		`"attachment1":[{"filename":"a.txt","content":"YQ=="},{"filename":"b.txt","content":"Yg=="}]}`
	require.Equal(t, want, string(first.Data))
	require.Equal(t, first.ID, receive("another").ID, "the next attempt has another boundary")
}

func TestMultipartHasALimit(t *testing.T) {
	t.Parallel()
	parts := make([]part, maxFields+1)
	for i := range parts {
		parts[i] = part{name: "a", data: "b"}
	}
	kind, body := multipartBody(t, "b", parts[:maxFields]...)
	fields, fault, tooMany := parseMultipart(kind, body)
	require.Nil(t, fault)
	require.Nil(t, tooMany)
	require.Len(t, fields, maxFields)
	kind, body = multipartBody(t, "b", parts...)
	_, _, tooMany = parseMultipart(kind, body)
	require.NotNil(t, tooMany)
}

func FuzzMultipart(f *testing.F) {
	kind, body := multipartBody(f, "b", part{name: "a", data: "b"}, part{name: "f", file: "x", kind: "text/plain", data: "\xff"})
	f.Add(kind, body)
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\n--b--"))
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		fields, fault, tooMany := parseMultipart(kind, body)
		if fault == nil && tooMany == nil {
			require.Nil(t, checkJSON(formJSON(fields)))
		}
	})
}
