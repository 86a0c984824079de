package webhook

import (
	"mime"
	"net/http"
)

// Reply is what a provider expects as the answer to a delivery that was accepted. Some
// read more than its status: Slack shows the body of an answer to a form, and Twilio
// takes it for instructions.
type Reply struct {
	Status      int // 200 to 299; 0 means 200, or 202 with the receipt
	ContentType string
	Body        string
	Receipt     bool // the body is the receipt, as JSON
}

// Reply returns what an accepted delivery is answered with; nil is 202 and the receipt.
func (s *Source) Reply() *Reply { return s.reply }

var (
	// plainOK is for providers that read the status only, and want this one.
	plainOK = &Reply{Status: http.StatusOK, Receipt: true}
	emptyOK = &Reply{Status: http.StatusOK}
	// emptyTwiML tells Twilio to do nothing: it sends no message, and ends a call. JSON
	// would be its error 12300.
	emptyTwiML = &Reply{Status: http.StatusOK, ContentType: "text/xml; charset=utf-8", Body: `<?xml version="1.0" encoding="UTF-8"?><Response/>`}
)

func parseReply(configured, ofScheme *Reply, f *faults) *Reply {
	if configured == nil {
		return ofScheme
	}
	r := *configured
	switch {
	case r.Status == 0 && r.Receipt:
		r.Status = http.StatusAccepted
	case r.Status == 0:
		r.Status = http.StatusOK
	case r.Status < 200 || r.Status > 299:
		f.add("answer.status", "%d must be from 200 to 299: any other says that the delivery was not taken", r.Status)
	}
	if r.Status == http.StatusNoContent || r.Status == http.StatusResetContent {
		if r.Body != "" {
			f.add("answer.body", "must be empty with the status %d, which has no body", r.Status)
		}
		r.Receipt = false
	}
	if r.ContentType != "" {
		if _, _, err := mime.ParseMediaType(r.ContentType); err != nil {
			f.add("answer.content_type", "%q must be a media type, as in \"text/xml\"", r.ContentType)
		}
	}
	if r.Body != "" && r.ContentType == "" {
		r.ContentType = "text/plain; charset=utf-8"
	}
	return &r
}
