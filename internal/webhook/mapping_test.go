package webhook

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
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
	// unnamed says that the id is not the one that Sign is given.
	unnamed bool
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
	{
		name: "gitlab", scheme: "gitlab", file: "gitlab/push.json",
		header: header("X-Gitlab-Event", "Push Hook", "X-Gitlab-Event-UUID", "13792a34-cac6-4fda-95a8-c58e00a3954e"),
		want:   []want{{id: "id-1", eventType: "gitlab.push"}},
	},
	{
		name: "gitlab system hook", scheme: "gitlab", file: "gitlab/system_hook.json", header: header("X-Gitlab-Event", "System Hook"),
		want: []want{{id: "id-1", eventType: "gitlab.project_create"}},
	},
	{
		name: "bitbucket", scheme: "bitbucket", file: "bitbucket/repo_push.json",
		header: header("X-Event-Key", "repo:push", "X-Request-UUID", "f9b0f9a5", "X-Attempt-Number", "1"),
		want:   []want{{id: "id-1", eventType: "bitbucket.repo.push"}},
	},
	{
		name: "bitbucket data center", scheme: "bitbucket", file: "bitbucket/repo_push.json",
		header: header("X-Event-Key", "repo:refs_changed", "X-Request-Id", "r-1"), unnamed: true,
		want: []want{{id: "r-1", eventType: "bitbucket.repo.refs_changed"}},
	},
	{
		name: "bitbucket ping", scheme: "bitbucket", file: "bitbucket/ping.json", header: header("X-Event-Key", "diagnostics:ping"), answer: "pong\n",
	},
	{
		name: "twilio message status", scheme: "twilio", file: "twilio/message_delivered.form", header: header("Content-Type", formType),
		want: []want{{
			id: "SM2xxxxxxxxxx:delivered", eventType: "twilio.message.delivered",
			data: `{"SmsSid":"SM2xxxxxxxxxx","SmsStatus":"delivered","MessageStatus":"delivered","To":"+15558675309","MessageSid":"SM2xxxxxxxxxx",` +
				`"AccountSid":"ACxxxxxxxxx","From":"+15017122661","ApiVersion":"2010-04-01"}`,
		}},
	},
	{
		name: "twilio message", scheme: "twilio", file: "twilio/message_received.form", header: header("Content-Type", formType),
		want: []want{{
			id: "SM3:received", eventType: "twilio.message.received",
			data: `{"ToCountry":"US","SmsMessageSid":"SM3","NumMedia":"0","SmsSid":"SM3","SmsStatus":"received","Body":"Hello, café! & more",` +
				`"To":"+15017122661","MessageSid":"SM3","AccountSid":"AC1","From":"+15558675309"}`,
		}},
	},
	{
		name: "twilio idempotency token", scheme: "twilio", file: "twilio/gather.form",
		header: header("Content-Type", formType, "I-Twilio-Idempotency-Token", "fdb6d6f5-2f4f-4ab1-8e1f-6d9f0b7b8d11"),
		want: []want{{
			id: "fdb6d6f5-2f4f-4ab1-8e1f-6d9f0b7b8d11", eventType: "twilio.call.in-progress",
			data: `{"CallSid":"CA7","AccountSid":"AC1","CallStatus":"in-progress","Digits":"1","FinishedOnKey":"#","msg":"Gather End"}`,
		}},
	},
	{
		name: "twilio gather", scheme: "twilio", file: "twilio/gather.form", header: header("Content-Type", formType),
		want: []want{{
			id: hashOf("CallSid=CA7&AccountSid=AC1&CallStatus=in-progress&Digits=1&FinishedOnKey=%23&msg=Gather+End"), eventType: "twilio.call.in-progress",
			data: `{"CallSid":"CA7","AccountSid":"AC1","CallStatus":"in-progress","Digits":"1","FinishedOnKey":"#","msg":"Gather End"}`,
		}},
	},
	{
		name: "twilio call", scheme: "twilio", file: "twilio/call_completed.form", header: header("Content-Type", formType),
		want: []want{{
			id: "CA7:completed:2", eventType: "twilio.call.completed",
			data: `{"CallSid":"CA7","AccountSid":"AC1","CallStatus":"completed","CallDuration":"15","SequenceNumber":"2","CallbackSource":"call-progress-events",` +
				`"Timestamp":"Tue, 14 Nov 2023 22:13:20 +0000"}`,
		}},
	},
	{
		name: "twilio event streams", scheme: "twilio", file: "twilio/event_streams.json", header: header("Content-Type", "application/json"),
		want: []want{
			{
				id: "EZ7b2c0c1b", eventType: "twilio.com.twilio.messaging.message.delivered",
				data: `{"specversion":"1.0","type":"com.twilio.messaging.message.delivered","source":"/2010-04-01/Accounts/AC1/Messages/SM2.json","id":"EZ7b2c0c1b",` +
					`"time":"2023-11-14T22:13:20.000Z","data":{"messageSid":"SM2","messageStatus":"DELIVERED"}}`,
			},
			{
				id: "EZ7b2c0c1c", eventType: "twilio.com.twilio.messaging.message.sent",
				data: `{"specversion":"1.0","type":"com.twilio.messaging.message.sent","source":"/2010-04-01/Accounts/AC1/Messages/SM9.json","id":"EZ7b2c0c1c","data":{"messageSid":"SM9"}}`,
			},
		},
	},
	{
		name: "sendgrid", scheme: "sendgrid", file: "sendgrid/events.json",
		want: []want{
			{
				id: "ZGVsaXZlcmVkLTA", eventType: "sendgrid.delivered",
				data: `{"email":"example@test.com","timestamp":1700000000,"smtp-id":"<14c5d75ce93.dfd.64b469@ismtpd-555>","event":"delivered","category":["cat facts"],` +
					`"sg_event_id":"ZGVsaXZlcmVkLTA","sg_message_id":"14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0","response":"250 OK"}`,
			},
			{
				id: "37nvH5QBz858KGVYCM4uOA==", eventType: "sendgrid.spamreport",
				data: `{"email":"example@test.com","timestamp":1700000001,"event":"spamreport","sg_event_id":"37nvH5QBz858KGVYCM4uOA==",` +
					`"sg_message_id":"14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0"}`,
			},
		},
	},
	{
		name: "square", scheme: "square", file: "square/payment_updated.json",
		want: []want{{id: "6a8f5f28-54a1-4eb0-a98a-3111513fd4fc", eventType: "square.payment.updated"}},
	},
	{
		name: "paddle", scheme: "paddle", file: "paddle/transaction_completed.json",
		want: []want{{id: "evt_01hv8x3p4xw0cbe1qq5xkdxvyk", eventType: "paddle.transaction.completed"}},
	},
	{
		name: "hubspot", scheme: "hubspot", file: "hubspot/batch.json",
		want: []want{
			{
				id: "44923689:1960821:3181526818:1700000000000:1148", eventType: "hubspot.contact.propertyChange",
				data: `{"eventId":3181526818,"subscriptionId":1960821,"portalId":44923689,"appId":2845783,"occurredAt":1700000000000,"subscriptionType":"contact.propertyChange",` +
					`"attemptNumber":0,"objectId":1148,"propertyName":"lifecyclestage","propertyValue":"customer","changeSource":"CRM_UI"}`,
			},
			{
				id: "44923689:1960822:3181526819:1700000000001:1148:77", eventType: "hubspot.contact.associationChange",
				data: `{"eventId":3181526819,"subscriptionId":1960822,"portalId":44923689,"appId":2845783,"occurredAt":1700000000001,"subscriptionType":"contact.associationChange",` +
					`"attemptNumber":0,"associationType":"CONTACT_TO_COMPANY","fromObjectId":1148,"toObjectId":77,"associationRemoved":false}`,
			},
			{
				id: "44923689:1960823:3181526820:1700000000002", eventType: "hubspot.contact.merge",
				data: `{"eventId":3181526820,"subscriptionId":1960823,"portalId":44923689,"appId":2845783,"occurredAt":1700000000002,"subscriptionType":"contact.merge",` +
					`"attemptNumber":0,"primaryObjectId":1,"mergedObjectIds":[2]}`,
			},
		},
	},
	{
		name: "linear", scheme: "linear", file: "linear/issue_create.json", header: header("Linear-Event", "Issue"),
		want: []want{{id: "id-1", eventType: "linear.Issue"}},
	},
	{
		name: "zendesk", scheme: "zendesk", file: "zendesk/user_created.json",
		want: []want{{id: "id-1", eventType: "zendesk.zen.event-type.user.created"}},
	},
	{
		name: "mailgun", scheme: "mailgun", file: "mailgun/opened.json",
		want: []want{{id: "Ase7i2zsRYeDXztHGENqRA", eventType: "mailgun.opened"}},
	},
	{
		name: "intercom", scheme: "intercom", file: "intercom/conversation.json",
		want: []want{{id: "notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3", eventType: "intercom.conversation.user.created"}},
	},
	{
		name: "intercom ping", scheme: "intercom", file: "intercom/ping.json", answer: "pong\n",
	},
	{
		name: "adyen", scheme: "adyen", file: "adyen/notification.json",
		want: []want{
			{
				id: "7914073251449896:AUTHORISATION:true", eventType: "adyen.AUTHORISATION",
				data: `{"NotificationRequestItem":{"additionalData":{"hmacSignature":"@","expiryDate":"12/2028"},"amount":{"value":10150,"currency":"EUR"},"pspReference":"7914073251449896",` +
					`"eventCode":"AUTHORISATION","eventDate":"2024-01-01T01:00:00+02:00","merchantAccountCode":"ShopEU","operations":["CANCEL","CAPTURE","REFUND"],"merchantReference":"A-1001",` +
					`"paymentMethod":"mc","reason":"1234:7777:12/2028","success":"true"}}`,
			},
			{
				id: "8515131751004933:REFUND:false", eventType: "adyen.REFUND",
				data: `{"NotificationRequestItem":{"additionalData":{"hmacSignature":"@"},"amount":{"value":500,"currency":"EUR"},"originalReference":"7914073251449896",` +
					`"pspReference":"8515131751004933","eventCode":"REFUND","eventDate":"2024-01-02T01:00:00+02:00","merchantAccountCode":"ShopEU","merchantReference":"A-1001","success":"false"}}`,
			},
		},
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

// signatures are those that Sign puts into a body.
var signatures = regexp.MustCompile(`"hmacSignature":"[^"]*"`)

func TestMappings(t *testing.T) {
	t.Parallel()
	for _, tc := range mappings {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := sampleOf(t, tc.scheme)
			m.body, m.header = readFile(t, tc.file), tc.header
			r := m.request(t, m.secrets[0], now)
			if tc.unnamed {
				r.Header.Del("X-Request-Uuid")
			}
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
				require.Equal(t, want.data, signatures.ReplaceAllString(string(d.Data), `"hmacSignature":"@"`))
			}
		})
	}
}
