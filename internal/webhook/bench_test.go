package webhook

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkReceive: a usual delivery, and large ones that take the most work, from an
// unknown sender (rejected) and from a known one (verified).
func BenchmarkReceive(b *testing.B) {
	const size = 900 << 10
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf(`{"x":"%s","eventId":%d,"subscriptionType":"contact.creation"}`, strings.Repeat("x", size/1100), i))
	}
	objects := strings.TrimSuffix(strings.Repeat(`{"a":1},`, size/8), ",")
	for _, tc := range []struct{ name, scheme, body string }{
		{"stripe 1 KiB", "stripe", `{"id":"evt_1","type":"a","x":"` + strings.Repeat("x", 1<<10) + `"}`},
		{"stripe 900 KiB", "stripe", `{"x":[` + objects + `]}`},
		{"hubspot 1,000 items", "hubspot", "[" + strings.Join(many, ",") + "]"},
		{"adyen 900 KiB", "adyen", `{"notificationItems":[{"NotificationRequestItem":{"x":[` + objects + `]}}]}`},
		{"mailgun 900 KiB", "mailgun", `{"x":[` + objects + `]}`},
		{"twilio 1,000 fields", "twilio", strings.TrimSuffix(strings.Repeat(strings.Repeat("%41", size/3000-1)+"=&", 1000), "&")},
	} {
		m := sampleOf(b, tc.scheme)
		m.body = tc.body
		for _, verified := range []bool{true, false} {
			s, r := m.source(b, m.secrets[0], m.secrets[1]), m.request(b, m.secrets[0], now)
			if !verified {
				s = m.source(b, m.secrets[1])
			}
			b.Run(fmt.Sprintf("%s verified=%v", tc.name, verified), func(b *testing.B) {
				b.SetBytes(int64(len(r.Body)))
				b.ReportAllocs()
				for b.Loop() {
					_, err := s.Receive(r, now.Add(time.Second))
					require.Equal(b, verified, err == nil)
				}
			})
		}
	}
}
