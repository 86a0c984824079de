package webhook

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// source: Svix's documentation, "Verifying webhooks manually".
func TestStandardVector(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Name: "svix", Scheme: "standard", Secrets: []string{"whsec_plJ3nmyCDGBKInavdOK15jsl"}, EventType: "svix.{type}", Type: "/event_type"})
	require.NoError(t, err)
	in, err := s.Receive(Request{
		Method: http.MethodPost, URL: "/v1/webhooks/svix",
		Header: http.Header{
			"Svix-Id":        {"msg_loFOjxBNrRLzqYUf"},
			"Svix-Timestamp": {"1731705121"},
			"Svix-Signature": {"v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="},
		},
		Body: []byte(`{"event_type":"ping","data":{"success":true}}`),
	}, time.Unix(1731705121, 0))
	require.NoError(t, err)
	require.Equal(t, []Delivery{{
		ID: "msg_loFOjxBNrRLzqYUf", EventType: "svix.ping", MediaType: "application/json",
		Data: []byte(`{"event_type":"ping","data":{"success":true}}`),
	}}, in.Deliveries)
}
