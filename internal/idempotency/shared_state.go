package idempotency

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"eventgateway/internal/event"
)

// parsePlace reads the value of a place.
func parsePlace(text string, until func(ms int64) time.Time) (p sharedPlace, err error) {
	parts := strings.SplitN(text, " ", 4)
	if len(parts) != 4 {
		return p, fmt.Errorf("%w: %.40q", errBadState, text)
	}
	at, err1 := strconv.ParseInt(parts[0], 10, 64)
	ms, err2 := strconv.ParseInt(parts[1], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return p, fmt.Errorf("%w: %w", errBadState, err)
	}
	return sharedPlace{at: at, until: until(ms), worker: parts[2], cause: parts[3]}, nil
}

// takeState reads noteScript's answer. It is called with mu held.
func (s *sharedReplay) takeState(answer []any) error {
	if len(answer) != 2 {
		return errBadState
	}
	now, ok1 := answer[0].(int64)
	fields, ok2 := answer[1].([]any)
	if !ok1 || !ok2 {
		return errBadState
	}
	if len(fields) == 0 {
		return errStateGone
	}
	here := time.Now()
	for i := 0; i+1 < len(fields); i += 2 {
		field, _ := fields[i].(string)
		value, _ := fields[i+1].(string)
		kind, rest, _ := strings.Cut(field, " ")
		switch kind {
		case "h":
			if err := s.takeExtent(value); err != nil {
				return err
			}
		case "t":
			if err := s.takeTopic(rest, value); err != nil {
				return err
			}
		case "p":
			place, err := parsePlace(value, func(ms int64) time.Time { return here.Add(time.Duration(ms-now) * time.Millisecond) })
			if err != nil {
				return err
			}
			s.places[field] = place
		}
	}
	if s.from.IsZero() {
		return errBadState
	}
	return nil
}

// merge adds what other readers have kept to what this one has visited, and topics and types
// that only another gateway's schemas name. A topic whose spans are fixed is done when Redis
// says so of each, whatever this reader knows of it by now.
func (s *sharedReplay) merge(topics []event.TopicReplay) []event.TopicReplay {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed := map[string]bool{}
	for _, t := range topics {
		listed[t.Topic] = true
	}
	for _, name := range slices.Sorted(maps.Keys(s.topics)) {
		if !listed[name] {
			topics = append(topics, event.TopicReplay{Topic: name})
		}
	}
	for i := range topics {
		t := &topics[i]
		fixed, ok := s.topics[t.Topic]
		if !ok {
			continue
		}
		t.Types = slices.Compact(slices.Sorted(slices.Values(slices.Concat(t.Types, fixed.Types))))
		if t.Done {
			continue
		}
		visited := map[int32]int64{}
		for _, one := range t.Spans {
			visited[one.Partition] = one.At
		}
		t.Spans, t.Done, t.Read, t.Total = s.spansNow(fixed), true, 0, 0
		for n := range t.Spans {
			one := &t.Spans[n]
			t.Done = t.Done && one.At >= one.To
			one.At = max(one.At, visited[one.Partition])
			t.Read += one.At - one.From
			t.Total += one.To - one.From
		}
	}
	return topics
}

// hasFixed reports whether it is known of all topics that have types what is to be read of them.
// Until then only the gateway that holds the locks can find that out.
func (s *sharedReplay) hasFixed(topics []event.TopicReplay) bool {
	if s.alone {
		return true // nobody else could go on
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(topics, func(t event.TopicReplay) bool {
		_, fixed := s.topics[t.Topic]
		return len(t.Types) > 0 && !fixed
	})
}

// rest are the topics that are not done, as of the last note.
func (s *sharedReplay) rest() []event.TopicReplay {
	if s.alone {
		return nil
	}
	return slices.DeleteFunc(s.now(), func(t event.TopicReplay) bool { return t.Done })
}

// now is how far all readers are, as of the last note.
func (s *sharedReplay) now() (topics []event.TopicReplay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.topics)) {
		t := s.topics[name]
		t.Spans, t.Done = s.spansNow(t), true
		for _, one := range t.Spans {
			t.Read += one.At - one.From
			t.Total += one.To - one.From
			if one.At < one.To {
				t.Done = false
				if cause := s.places[placeField(name, one.Partition)].cause; cause != "" {
					t.Waiting = append(t.Waiting, cause)
				}
			}
		}
		topics = append(topics, t)
	}
	return topics
}
