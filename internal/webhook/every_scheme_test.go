package webhook

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestEverySchemeVerifiesItsProvider(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		requireVerified(t, m.source(t, m.secrets[0]), m.request(t, m.secrets[0], now), now)
	})
}

func TestEverySchemeTriesEverySecret(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		both := m.source(t, m.secrets[0], m.secrets[1])
		requireVerified(t, both, m.request(t, m.secrets[0], now), now)
		requireVerified(t, both, m.request(t, m.secrets[1], now), now)
	})
}

func TestEverySchemeRefusesAnotherSecret(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		_, err := m.source(t, m.secrets[1]).Receive(m.request(t, m.secrets[0], now), now)
		requireRejection(t, err, m.wrongReason())
		require.NotContains(t, err.Error(), m.secrets[0])
		require.NotContains(t, err.Error(), m.secrets[1])
	})
}

func TestEverySchemeRefusesAChangedBody(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		r := m.request(t, m.secrets[0], now)
		if m.change != nil {
			r.Body = []byte(m.change(string(r.Body)))
		} else {
			r.Body = append(r.Body, ' ')
		}
		_, err := m.source(t, m.secrets[0]).Receive(r, now)
		if m.unsigned {
			require.NoError(t, err)
			return
		}
		requireRejection(t, err, SignatureMismatch)
	})
}

func TestEverySchemeRefusesAChangedSignedHeader(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		s := m.source(t, m.secrets[0])
		for _, name := range m.signed {
			r := m.request(t, m.secrets[0], now)
			r.Header.Set(name, r.Header.Get(name)+"x")
			_, err := s.Receive(r, now)
			requireRejection(t, err, SignatureMismatch)
		}
	})
}

func TestEverySchemeRefusesAChangedTimestamp(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		if m.stampIn == "" {
			return
		}
		r, later := m.request(t, m.secrets[0], now), m.request(t, m.secrets[0], now.Add(2*time.Second))
		sent := r.Header.Get(m.stampIn)
		changed := strings.Replace(sent, "1700000000", "1700000002", 1)
		if changed == sent { // not in Unix time
			changed = later.Header.Get(m.stampIn)
		}
		require.NotEqual(t, sent, changed)
		r.Header.Set(m.stampIn, changed)
		_, err := m.source(t, m.secrets[0]).Receive(r, now)
		requireRejection(t, err, SignatureMismatch)
	})
}

func TestEverySchemeHoldsTheToleranceInBothDirections(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		s, r := m.source(t, m.secrets[0]), m.request(t, m.secrets[0], now)
		if !m.stamped {
			requireVerified(t, s, r, now.Add(1000*time.Hour))
			requireVerified(t, s, r, now.Add(-1000*time.Hour))
			return
		}
		requireVerified(t, s, r, now.Add(DefaultTolerance))
		requireVerified(t, s, r, now.Add(-DefaultTolerance))
		_, err := s.Receive(r, now.Add(DefaultTolerance+time.Second))
		requireRejection(t, err, TimestampTooOld)
		_, err = s.Receive(r, now.Add(-DefaultTolerance-time.Second))
		requireRejection(t, err, TimestampInFuture)
	})
}

func TestEverySchemeRefusesMissingHeaders(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		s := m.source(t, m.secrets[0])
		for _, name := range m.counts {
			r := m.request(t, m.secrets[0], now)
			r.Header.Del(name)
			_, err := s.Receive(r, now)
			requireRejection(t, err, MissingHeader)
			r.Header.Set(name, "")
			_, err = s.Receive(r, now)
			requireRejection(t, err, MissingHeader)
		}
	})
}

func TestEverySchemeRefusesRepeatedHeaders(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		s := m.source(t, m.secrets[0])
		names := append([]string{}, m.counts...)
		for _, choices := range [][]compound{s.id, s.typ} {
			for _, choice := range choices {
				for _, part := range choice {
					if part.header != "" {
						names = append(names, part.header)
					}
				}
			}
		}
		for _, name := range names {
			r := m.request(t, m.secrets[0], now)
			if r.Header.Get(name) == "" {
				continue // of a choice that this sample does not take
			}
			r.Header.Add(name, r.Header.Get(name))
			_, err := s.Receive(r, now)
			requireRejection(t, err, RepeatedHeader)
		}
	})
}

func TestEverySchemeRefusesGarbage(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		s := m.source(t, m.secrets[0])
		for _, name := range m.counts {
			for _, value := range []string{" ", "=", ",", ";", "\x00\xff", "v1,", "v1,%%%", "t=,v1=", "sha256=zz", "-1", "99999999999999999999", "Basic", "Basic ===", "Bearer"} {
				r := m.request(t, m.secrets[0], now)
				r.Header.Set(name, value)
				_, err := s.Receive(r, now)
				require.Error(t, err, "%s: %q", name, value)
				requireRejection(t, err, MalformedHeader, SignatureMismatch, WrongCredentials, TimestampTooOld)
			}
		}
	})
}

func TestEverySchemeGivesARedeliveryTheSameID(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		s := m.source(t, m.secrets[0], m.secrets[1])
		first := requireVerified(t, s, m.request(t, m.secrets[0], now), now)
		again := requireVerified(t, s, m.request(t, m.secrets[1], now.Add(time.Minute)), now)
		require.Len(t, again, len(first))
		for i := range first {
			require.Equal(t, first[i].ID, again[i].ID)
		}
	})
}

func TestEverySchemeChallenges(t *testing.T) {
	eachSample(t, func(t *testing.T, m sample) {
		want := map[string]string{"basic": `Basic realm="src"`, "bearer": `Bearer realm="src"`}[m.scheme]
		if want == "" {
			want = `Signature realm="src"`
		}
		require.Equal(t, want, m.source(t, m.secrets[0]).Challenge())
	})
}
