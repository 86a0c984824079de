package idempotency

import (
	"maps"
	"slices"
	"strings"

	"eventgateway/internal/event"
)

// kindStride is more than there are buckets: one number says both where a claim's marker is
// and where its kind is. It is 512 in claimScript, too.
const kindStride = 2 * bucketCount

// claimKind says which topics may have the events of a claim's identity: those of its type,
// or, with AnyType in front, of all types that begin so, and dead-letter topics. It is empty
// for what cannot be a line of a bucket's progress: such claims wait for the marker.
func claimKind(c *event.Claim) string {
	switch {
	case strings.ContainsAny(c.Type+c.TypesBegin, "\n\r"):
		return ""
	case c.Delivery:
		return event.AnyType + c.TypesBegin
	case strings.HasPrefix(c.Type, event.AnyType), strings.HasPrefix(c.Type, missingMark):
		return ""
	}
	return c.Type
}

// missingMark begins the lines of types that are not back.
const missingMark = "-"

// claimKinds are those of a batch, which has few.
type claimKinds struct {
	known []knownKind
}

type knownKind struct {
	eventType  string
	delivery   bool
	typesBegin string
	kind       string
}

// place is that of the claim's kind, from 0.
func (k *claimKinds) place(c *event.Claim) int {
	for i := range k.known {
		if one := &k.known[i]; one.eventType == c.Type && one.delivery == c.Delivery && one.typesBegin == c.TypesBegin {
			return i
		}
	}
	k.known = append(k.known, knownKind{c.Type, c.Delivery, c.TypesBegin, claimKind(c)})
	return len(k.known) - 1
}

func (k *claimKinds) appendTo(args []any) []any {
	for i := range k.known {
		args = append(args, &k.known[i].kind)
	}
	return args
}

// returnedTypes are the event types whose records are all in topics that are done, and
// AnyType if all dead-letter topics are, and those of which that is not so. There are none of the
// former while a topic is not done whose types are not known: it may have any.
func returnedTypes(topics []event.TopicReplay) (returned, missing []string) {
	back := map[string]bool{}
	for _, t := range topics {
		if !t.Done && len(t.Types) == 0 {
			return nil, nil
		}
		for _, name := range t.Types {
			before, seen := back[name]
			back[name] = t.Done && (before || !seen)
		}
	}
	if _, deadLetters := back[event.AnyType]; !deadLetters && len(back) > 0 {
		back[event.AnyType] = true // there are none
	}
	for _, name := range slices.Sorted(maps.Keys(back)) {
		if back[name] {
			returned = append(returned, name)
		} else {
			missing = append(missing, name)
		}
	}
	return returned, missing
}

// progressLinesOf are the lines of a bucket's progress.
func progressLinesOf(topics []event.TopicReplay) string {
	returned, missing := returnedTypes(topics)
	var b strings.Builder
	for _, name := range returned {
		b.WriteString(name + "\n")
	}
	for _, name := range missing {
		b.WriteString(missingMark + name + "\n")
	}
	return b.String()
}
