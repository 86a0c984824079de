package publish

// routes say which slot writes a partition.
type routes struct {
	topics   map[string][]uint8 // by partition; without an entry: the first slot
	limits   map[string]int     // max.message.bytes
	smallest int                // of limits
}

// slotOf is the slot of a partition.
func (r *routes) slotOf(topic string, partition int32) int {
	if of := r.topics[topic]; int(partition) < len(of) {
		return int(of[partition])
	}
	return firstShared
}

// routesOf distributes the partitions. Partitions with the same replicas share a
// slot; new sets of replicas take the slots in turn.
func (b *idempotent) routesOf(known map[string]topic) *routes {
	r := &routes{topics: make(map[string][]uint8, len(known)), limits: make(map[string]int, len(known)), smallest: defaultTopicBytes}
	for name, t := range known {
		r.limits[name] = t.maxBytes
		r.smallest = min(r.smallest, t.maxBytes)
		of := make([]uint8, t.partitions)
		for p := range of {
			of[p] = b.slotFor(t, p)
		}
		r.topics[name] = of
	}
	return r
}

func (b *idempotent) slotFor(t topic, partition int) uint8 {
	switch {
	case !b.franz && batchLimitOf(t.maxBytes) < defaultBatchBytes:
		return firstShared + 1
	case !b.franz:
		return firstShared
	}
	set := t.replicaSets[partition]
	of, ok := b.sets[set]
	if !ok {
		of = uint8(firstShared + len(b.sets)%sharedFranz)
		b.sets[set] = of
	}
	return of
}

// shrunk reports whether a topic takes smaller batches than before.
func shrunk(before, now map[string]int) bool {
	for name, limit := range now {
		if was, ok := before[name]; ok && limit < was {
			return true
		}
	}
	return false
}

func batchLimitOf(smallest int) int { return max(1, min(defaultBatchBytes, smallest-batchOverhead)) }
