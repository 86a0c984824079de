package webhook

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const formType = "application/x-www-form-urlencoded"

// want is an expected delivery.
type want struct {
	id, eventType string
	data          string // "" is the whole body
}

// mappings are realistic deliveries and what becomes of them.
var mappings = []struct {
	name   string
	scheme string
	file   string
	header http.Header
	want   []want
	answer string // the body of the answer, if it is one
}{
	{
		name: "standard", scheme: "standard", file: "standard/invoice_paid.json",
		want: []want{{id: "id-1", eventType: "standard.invoice.paid"}},
	},
	{
		name: "stripe", scheme: "stripe", file: "stripe/payment_intent_succeeded.json",
		header: header("Content-Type", "application/json; charset=utf-8"),
		want:   []want{{id: "evt_3MtwBwLkdIwHu7ix28a3tqPa", eventType: "stripe.payment_intent.succeeded"}},
	},
	{
		name: "github", scheme: "github", file: "github/issues_opened.json",
		header: header("X-GitHub-Event", "issues", "X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
		want:   []want{{id: "id-1", eventType: "github.issues"}},
	},
	{
		name: "github ping", scheme: "github", file: "github/ping.json",
		header: header("X-GitHub-Event", "ping"), answer: "pong\n",
	},
	{
		name: "shopify", scheme: "shopify", file: "shopify/orders_create.json",
		header: header("X-Shopify-Topic", "orders/create", "X-Shopify-Event-Id", "98880550-7158-44d4-b7cd-2c97c8a091b5"),
		want:   []want{{id: "id-1", eventType: "shopify.orders.create"}},
	},
	{
		name: "slack event", scheme: "slack", file: "slack/event_callback.json",
		want: []want{{id: "Ev0MDYGDKJ", eventType: "slack.app_mention"}},
	},
	{
		name: "slack challenge", scheme: "slack", file: "slack/url_verification.json",
		answer: "3eZbrw1aBm2rZgRNFdxV2595E9CYytaVJRpFrFYBaFjuNRpeKlVr",
	},
	{
		name: "slack interaction", scheme: "slack", file: "slack/block_actions.form", header: header("Content-Type", formType),
		want: []want{{
			id: "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3", eventType: "slack.block_actions",
			data: `{"type":"block_actions","team":{"id":"T061EG9R6"},"user":{"id":"U061F7AUR"},` +
				`"trigger_id":"12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3","actions":[{"action_id":"WaXA","value":"click_me_123"}]}`,
		}},
	},
	{
		name: "slack slash command", scheme: "slack", file: "slack/slash_command.form", header: header("Content-Type", formType),
		want: []want{{
			id: "13345224609.738474920.8088930838d88f008e0", eventType: "slack.slash_command",
			data: `{"token":"gIkuvaNzQIHg97ATvDxqgjtO","team_id":"T0001","team_domain":"example","channel_id":"C2147483705","user_id":"U2147483697","user_name":"Steve",` +
				`"command":"/weather","text":"94070 & more","response_url":"https://hooks.slack.com/commands/1234/5678","trigger_id":"13345224609.738474920.8088930838d88f008e0","api_app_id":"A123456"}`,
		}},
	},
}

func sampleOf(t testing.TB, scheme string) sample {
	for _, m := range samples {
		if m.scheme == scheme {
			return m
		}
	}
	require.Fail(t, "no sample", scheme)
	return sample{}
}

func readFile(t testing.TB, name string) string {
	body, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name)))
	require.NoError(t, err)
	return strings.TrimSuffix(string(body), "\n")
}

func TestMappings(t *testing.T) {
	t.Parallel()
	for _, tc := range mappings {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := sampleOf(t, tc.scheme)
			m.body, m.header = readFile(t, tc.file), tc.header
			r := m.request(t, m.secrets[0], now)
			in, err := m.source(t, m.secrets[0]).Receive(r, now)
			require.NoError(t, err)
			if tc.answer != "" {
				require.Equal(t, &Answer{Status: http.StatusOK, ContentType: "text/plain; charset=utf-8", Body: []byte(tc.answer)}, in.Answer)
				require.Empty(t, in.Deliveries)
				return
			}
			require.Nil(t, in.Answer)
			require.Len(t, in.Deliveries, len(tc.want))
			for i, want := range tc.want {
				d := in.Deliveries[i]
				require.Nil(t, d.Err)
				require.Equal(t, want.id, d.ID)
				require.Equal(t, want.eventType, d.EventType)
				require.Equal(t, "application/json", d.MediaType)
				if want.data == "" {
					want.data = string(r.Body)
				}
				require.Equal(t, want.data, string(d.Data))
			}
		})
	}
}
