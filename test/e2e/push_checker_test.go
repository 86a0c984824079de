//go:build integration

package e2e

import (
	"fmt"
	"slices"
	"sync"
)

// pushChecker is told what an endpoint took, and says afterwards whether each event was
// taken or became a dead letter, and whether each entity's events came in order.
type pushChecker struct {
	mu       sync.Mutex
	taken    map[string][]int // by entity, in the order of the first time
	seen     map[string]bool
	repeated int
	faults   []string
}

func newPushChecker() *pushChecker {
	return &pushChecker{taken: map[string][]int{}, seen: map[string]bool{}}
}

// take notes that the endpoint has acknowledged an event, or is about to.
func (c *pushChecker) take(entity string, seq int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := fmt.Sprint(entity, "/", seq)
	if c.seen[id] {
		c.repeated++
		return
	}
	c.seen[id] = true
	if before := c.taken[entity]; len(before) > 0 && before[len(before)-1] > seq {
		c.faults = append(c.faults, fmt.Sprintf("%s: %d came after %d", entity, seq, before[len(before)-1]))
	}
	c.taken[entity] = append(c.taken[entity], seq)
}

func (c *pushChecker) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

// verdict compares with what was written, and with the dead letters, by entity.
func (c *pushChecker) verdict(written, dead map[string][]int) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	faults := slices.Clone(c.faults)
	for entity, seqs := range written {
		for _, seq := range seqs {
			if !c.seen[fmt.Sprint(entity, "/", seq)] && !slices.Contains(dead[entity], seq) {
				faults = append(faults, fmt.Sprintf("%s: %d is lost", entity, seq))
			}
		}
	}
	return faults
}
