package torture

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ofType adds an event of another type.
func (s *story) ofType(name, eventType string) *Key {
	k := s.order(name, 0)
	k.Type = eventType
	return k
}

func asked(status int, slug, outcome string, r *Receipt) Question {
	return Question{Sent: 5 * time.Second, Status: status, Slug: slug, Outcome: outcome, Receipt: r}
}

func TestGoodTypesAndReceiptsPass(t *testing.T) {
	t.Parallel()
	s := good()
	for _, name := range []string{noteType, scanType, deniedType, compactedType, sizedType, datedType} {
		k := s.ofType(name+"-1", name)
		k.Pad = 100
		k.add(unknown())
		r := s.write(k)
		k.Questions = append(k.Questions, asked(409, "request-in-progress", outcomeUnknown, nil), asked(200, "", "", r), Question{Slug: "timeout"})
		k.add(accepted(r))
	}
	for _, name := range []string{deniedType, compactedType, sizedType, datedType} {
		k := s.ofType(name+"-2", name)
		k.add(refused())
		k.add(Attempt{Status: 413, Slug: "event-too-large", Outcome: outcomeNotWritten})
	}
	large := s.ofType("large", scanType)
	large.Pad, large.TooLarge = scanLimit, true
	large.add(Attempt{Status: 413, Slug: "event-too-large", Outcome: outcomeNotWritten})
	// Not found, and then the attempt that had no answer arrives; or one that is newer.
	late := s.ofType("late", noteType)
	late.add(noAnswer())
	late.Questions = append(late.Questions, asked(404, "not-found", outcomeNotWritten, nil))
	s.write(late)
	newer := s.ofType("newer", noteType)
	newer.Questions = append(newer.Questions, asked(404, "not-found", outcomeNotWritten, nil))
	a := accepted(s.write(newer))
	a.Answered = 6 * time.Second
	newer.add(a)
	require.Empty(t, Check(s.keys, s.log, Facts{}))
}

func TestEveryRuleReportsTypesAndReceipts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(s *story)
		want  []string
		text  string
	}{
		"a: on the topic of orders": {func(s *story) {
			k := s.ofType("n", noteType)
			k.add(accepted(s.write(k)))
			s.last().Topic = ordersTopic
			k.Attempts[0].Receipt.Topic = ordersTopic
		}, []string{"a"}, "not in torture.notes"},
		"a: a key that it should not have": {func(s *story) {
			k := s.ofType("n", noteType)
			k.add(accepted(s.write(k)))
			s.last().Key = "n"
		}, []string{"a"}, `has the key "n", not ""`},
		"a: other large bytes": {func(s *story) {
			k := s.ofType("n", scanType)
			k.Pad = 2 * longestValue
			k.add(accepted(s.write(k)))
			s.last().Value = shorten(strings.Replace(k.Body(0), `"}`, `x"}`, 1))
		}, []string{"a"}, "which no client sent"},
		"a: the receipt that was asked for is elsewhere": {func(s *story) {
			k := s.ofType("n", noteType)
			k.add(unknown())
			k.Questions = append(k.Questions, asked(200, "", "", at("torture.notes", 3, 9)))
		}, []string{"a"}, "nothing is in torture.notes partition 3 at offset 9"},
		"b: twice on a topic of its own": {func(s *story) {
			k := s.ofType("n", deniedType)
			k.add(unknown())
			s.write(k)
			s.write(k)
		}, []string{"b"}, "is in the log 2 times"},
		"c: refused by its topic": {func(s *story) {
			k := s.ofType("n", deniedType)
			k.add(refused())
			s.write(k)
		}, []string{"c"}, "every answer to n-0 said not-written"},
		"c: too large": {func(s *story) {
			k := s.ofType("n", scanType)
			k.TooLarge = true
			k.add(accepted(s.write(k)))
		}, []string{"c", "g"}, "larger than its topic takes"},
		"c: not found, but written before": {func(s *story) {
			k := s.ofType("n", noteType)
			k.add(unknown())
			s.write(k)
			k.Questions = append(k.Questions, asked(404, "not-found", outcomeNotWritten, nil))
		}, []string{"c"}, "was not found at 5s"},
		"d: two of another type are swapped": {func(s *story) {
			first, second := s.ofType("n", scanType), s.ofType("n", scanType)
			first.Entity, second.Entity, second.Seq, second.Name = "n", "n", 1, "n-1"
			second.add(accepted(s.write(second)))
			first.add(accepted(s.write(first)))
		}, []string{"d"}, "behind event 1"},
		"e: another receipt": {func(s *story) {
			k := s.ofType("n", noteType)
			r := s.write(k)
			k.add(accepted(r))
			other := *r
			other.Body = "other"
			k.Questions = append(k.Questions, asked(200, "", "", &other))
		}, []string{"e"}, "was asked for"},
		"g: refused though its topic takes it": {func(s *story) {
			s.ofType("n", scanType).add(Attempt{Status: 413, Slug: "event-too-large", Outcome: outcomeNotWritten})
		}, []string{"g"}, "413 event-too-large"},
		"g: refused, with an unknown outcome": {func(s *story) {
			s.ofType("n", deniedType).add(Attempt{Status: 503, Slug: "log-unavailable", Outcome: outcomeUnknown})
		}, []string{"g"}, "503 log-unavailable unknown"},
		"g: a question": {func(s *story) {
			k := s.ofType("n", noteType)
			k.add(refused())
			k.Questions = append(k.Questions, asked(500, "internal", outcomeUnknown, nil))
		}, []string{"g"}, "500 internal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good()
			c.spoil(s)
			requireRules(t, s, c.want, c.text)
		})
	}
}

func TestBodiesHaveTheirSizes(t *testing.T) {
	t.Parallel()
	k := &Key{Name: "n", Entity: "e", Pad: 5000, Valid: true}
	body := k.Body(1)
	require.Greater(t, len(body), 5000)
	require.Equal(t, body, k.Body(2))
	require.True(t, json.Valid([]byte(body)))
	require.Less(t, len(shorten(body)), 400)
	require.Contains(t, shorten(body), `"seq":0`)
	require.Equal(t, "{}", shorten("{}"))
}

// TestProxyLosesAnswers: the server hears the request, and the client nothing but the
// end.
func TestProxyLosesAnswers(t *testing.T) {
	t.Parallel()
	p := startProxy(t, echoServer(t))
	for range 20 { // bytes that are held must not slip through while the connection is reset
		c := dialEcho(t, p)
		_, err := c.exchange("hello", soon)
		require.NoError(t, err)
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.loseAnswers(t.Context(), 10*time.Millisecond)
		}()
		require.Eventually(t, func() bool { s, _ := p.setting(); return s.mode == stall }, soon, 100*time.Microsecond)
		_, err = c.exchange("lost", soon)
		require.Error(t, err)
		<-done
	}
	_, err := dialEcho(t, p).exchange("hello", soon)
	require.NoError(t, err)
}
