package webhook_test

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"eventgateway/internal/webhook"
)

// A provider's delivery becomes an event.
func ExampleSource_Receive() {
	source, err := webhook.New(webhook.Config{
		Name: "payments", Scheme: "stripe", Secrets: []string{"whsec_test_secret"}, EventType: "stripe.{type}",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	in, err := source.Receive(webhook.Request{
		Method: http.MethodPost, URL: "/v1/webhooks/payments",
		Header: http.Header{"Stripe-Signature": {"t=1700000000,v1=a64eaa02b5b9a59796fdb3cfba69ac6426cfbb3da4d8f0b4760f19e0ed6fd525"}},
		Body:   []byte(`{"id":"evt_1PqrsT2eZvKYlo2C","object":"event","type":"charge.succeeded"}`),
	}, time.Unix(1_700_000_010, 0))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, d := range in.Deliveries {
		fmt.Println(d.EventType, d.ID)
	}
	// Output: stripe.charge.succeeded evt_1PqrsT2eZvKYlo2C
}

// The sender of a rejected request learns why, but no secret.
func ExampleRejection() {
	source, _ := webhook.New(webhook.Config{Name: "repo", Scheme: "github", Secrets: []string{"s3cret"}, EventType: "github.{type}"})
	_, err := source.Receive(webhook.Request{Header: http.Header{}, Body: []byte(`{}`)}, time.Now())
	var rejection *webhook.Rejection
	if errors.As(err, &rejection) {
		fmt.Println(rejection.Reason)
		fmt.Println(rejection.Detail)
		fmt.Println(source.Challenge())
	}
	// Output:
	// missing-header
	// The X-Hub-Signature-256 header is missing.
	// Signature realm="repo"
}

// A sender that is not in the table: say how it signs.
func ExampleHMAC() {
	source, err := webhook.New(webhook.Config{
		Name: "crm", Scheme: "hmac", Secrets: []string{"s3cret"}, EventType: "crm.{type}",
		ID: "header:X-Delivery-Id", Type: "/event",
		HMAC: &webhook.HMAC{Header: "X-Signature", Prefix: "sha256=", Signed: "{timestamp}.{id}.{body}", Timestamp: "X-Timestamp"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := webhook.Request{Method: http.MethodPost, URL: "/v1/webhooks/crm", Body: []byte(`{"event":"deal/won"}`)}
	if err := source.Sign(&r, "d-17", time.Unix(1_700_000_000, 0)); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Header.Get("X-Signature")[:20] + "…")
	in, err := source.Receive(r, time.Unix(1_700_000_000, 0))
	fmt.Println(in.Deliveries[0].EventType, in.Deliveries[0].ID, err)
	// Output:
	// sha256=8c8fcfea2b4cd…
	// crm.deal.won d-17 <nil>
}

// All faults of a configuration are reported at once.
func ExampleNew() {
	_, err := webhook.New(webhook.Config{Name: "crm", Scheme: "hmac", Secrets: []string{"s3cret", ""}, EventType: "crm.{type}"})
	fmt.Println(err)
	// Output:
	// secrets: the second is empty
	// type: is missing; {type} in event_type needs it with the scheme "hmac": say "header:X-Event" or "/type"
}
