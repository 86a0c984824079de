//go:build torture

package failpoint

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const variable = "GATEWAY_TEST_FAILPOINTS"

type action string

const (
	pass action = ""
	kill action = "kill"
	stop action = "stop"
)

// plan is what may happen at which failpoint.
type plan struct {
	skew   time.Duration
	points map[string]chance // not changed after parse

	mu   sync.Mutex
	dice *rand.Rand
}

type chance struct {
	probability float64 // of one passing
	action      action
}

// draw draws what happens at one passing.
func (p *plan) draw(point string) action {
	c, ok := p.points[point]
	if !ok {
		return pass
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dice.Float64() >= c.probability {
		return pass
	}
	return c.action
}

// parse reads the variable's value. The error lists everything that is wrong with it.
func parse(text string) (*plan, error) {
	p := &plan{points: map[string]chance{}}
	seed := rand.Uint64() //nolint:gosec // dice, not secrets
	var errs []error
	for entry := range strings.SplitSeq(text, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		name, value, _ := strings.Cut(entry, ":")
		var err error
		switch name {
		case "seed":
			seed, err = strconv.ParseUint(value, 10, 64)
		case "skew":
			p.skew, err = time.ParseDuration(value)
		default:
			err = p.add(name, value)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("read %q: %w", entry, err))
		}
	}
	p.dice = rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // draws that a seed can repeat
	return p, errors.Join(errs...)
}

func (p *plan) add(point, value string) error {
	if !slices.Contains(Points(), point) {
		return fmt.Errorf("no point %q; there are %s", point, strings.Join(Points(), ", "))
	}
	if _, twice := p.points[point]; twice {
		return errors.New("the point is given twice")
	}
	number, word, given := strings.Cut(value, ":")
	probability, err := strconv.ParseFloat(number, 64)
	if err != nil || !(probability >= 0 && probability <= 1) {
		return fmt.Errorf("%q is not a probability from 0 to 1", number)
	}
	c := chance{probability: probability, action: kill}
	if given {
		c.action = action(word)
	}
	if c.action != kill && c.action != stop {
		return fmt.Errorf("no action %q; there are kill and stop", word)
	}
	p.points[point] = c
	return nil
}
