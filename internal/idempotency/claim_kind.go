package idempotency

import (
	"slices"
	"strings"

	"eventgateway/internal/event"
)

// kindStride is more than there are buckets: one number says both where a claim's marker is
// and where its kind is. It is 512 in claimScript, too.
const kindStride = 2 * bucketCount

// claimKind says which topics may have the events of a claim's identity: those of its type,
// and, with AnyType in front, also dead-letter topics. It is empty for a type that cannot
// be a line of a bucket's progress: its claims wait for the marker.
func claimKind(c *event.Claim) string {
	switch {
	case c.Type == "" || strings.ContainsAny(c.Type, "\n\r") || strings.HasPrefix(c.Type, event.AnyType):
		return ""
	case c.DeadLetters:
		return event.AnyType + c.Type
	}
	return c.Type
}

// claimKinds are those of a batch, which has few.
type claimKinds struct {
	types []kindOfType
}

type kindOfType struct {
	eventType   string
	deadLetters bool
	kind        string
}

// place is that of the claim's kind, from 0.
func (k *claimKinds) place(c *event.Claim) int {
	for i := range k.types {
		if one := &k.types[i]; one.eventType == c.Type && one.deadLetters == c.DeadLetters {
			return i
		}
	}
	k.types = append(k.types, kindOfType{c.Type, c.DeadLetters, claimKind(c)})
	return len(k.types) - 1
}

func (k *claimKinds) appendTo(args []any) []any {
	for i := range k.types {
		args = append(args, &k.types[i].kind)
	}
	return args
}

// returnedTypes are the lines of a bucket's progress: the event types whose records are all
// in topics that are done, and AnyType if all dead-letter topics are. A topic that is not
// done and whose types are not known may have any.
func returnedTypes(topics []event.TopicReplay) []string {
	seen, missing := map[string]bool{}, map[string]bool{}
	for _, t := range topics {
		if !t.Done && len(t.Types) == 0 {
			return nil
		}
		for _, name := range t.Types {
			seen[name] = true
			missing[name] = missing[name] || !t.Done
		}
	}
	var list []string
	for name := range seen {
		if !missing[name] {
			list = append(list, name)
		}
	}
	if len(list) > 0 && !seen[event.AnyType] {
		list = append(list, event.AnyType) // there are no dead-letter topics
	}
	slices.Sort(list)
	return list
}
