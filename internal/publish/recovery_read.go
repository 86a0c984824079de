package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"eventgateway/internal/event"
	"eventgateway/internal/failpoint"
	"eventgateway/internal/kafka"
)

const (
	// clockMargin is how much clocks of gateways and brokers may differ: a read begins so
	// much before the claim. If they differ more, it begins too late only for a claim that
	// another gateway took over.
	clockMargin = 10 * time.Second
	// stampMargin is how much later than the end of a lease a record has to be stamped to
	// prove that it was appended after it. It bounds the sum of the differences between
	// the clocks of its writer, of this gateway and of Redis. It is generous: reading on
	// for a minute costs little, and a writer whose clock is further ahead ends a read
	// before a record that is there.
	stampMargin = time.Minute
	// recentClaims are searched apart from older ones that also have to be read to the
	// end of the log, so that they do not wait for these.
	recentClaims = 5 * time.Minute
)

// Where a search ends. All that its claim's owner can have appended lies before
//
//   - any record that was appended after the lease had ended. A gateway's record is
//     appended after the time that it is stamped with, so one that is stamped behind the
//     lease proves it, although records of several gateways are not in the order of their
//     stamps. So does any record that the broker itself stamped (LogAppendTime). The
//     stamp of a stranger's record proves nothing: event times are often in the future.
//   - the high watermark, once replication has passed what the leader had when the lease
//     ended (replication.go). Only the end of a partition that nobody writes to needs it,
//     or of a lease that is over for less than stampMargin;
//   - the high watermark after the fence, if the owner was fenced: until then it may
//     have appended, so no earlier end would do.

// group is a number of searches that one pass through the partition serves.
type group struct {
	searches []*search
	until    time.Time // until when they read; zero: to the end of the log
}

// groupsOf divides searches so that those of one group overlap in time: between a claim
// from yesterday and one from now lies a day of records that neither needs.
func groupsOf(batch []*search, now time.Time) (groups []group) {
	var toEnd, recent []*search
	slices.SortFunc(batch, func(a, b *search) int { return a.from.Compare(b.from) })
	for _, s := range batch {
		open := s.fenced() || s.behind.After(now)
		last := len(groups) - 1
		switch {
		case open && now.Sub(s.from) > recentClaims:
			toEnd = append(toEnd, s)
		case open:
			recent = append(recent, s)
		case last >= 0 && !s.from.After(groups[last].until):
			groups[last].searches = append(groups[last].searches, s)
			if s.behind.After(groups[last].until) {
				groups[last].until = s.behind
			}
		default:
			groups = append(groups, group{[]*search{s}, s.behind})
		}
	}
	for _, g := range [...][]*search{recent, toEnd} {
		if len(g) > 0 {
			groups = append(groups, group{searches: g})
		}
	}
	return groups
}

// recoverAll reads a partition for all searches that wait, and ends each of them.
func (r *Reader) recoverAll(batch []*search, part kafka.Partition) {
	ctx, cancel := context.WithTimeout(r.running, recoveryLimit)
	defer cancel()
	batch = slices.DeleteFunc(batch, func(s *search) bool {
		known, ok := r.memory.recall(s, part)
		if ok && known.found != nil {
			s.end(known.found, nil)
		}
		return ok && known.found != nil
	})
	if len(batch) == 0 {
		return
	}
	waits, err := r.replicationWaits(ctx, batch, part)
	for _, s := range batch {
		if err != nil {
			s.end(nil, err)
		}
	}
	if err != nil {
		return
	}
	now := failpoint.Now()
	batch = slices.DeleteFunc(batch, func(s *search) bool {
		early := waits[s] > 0 && now.Before(s.behind) // no record can be stamped behind yet
		if early {
			s.end(nil, errUndecided{waits[s]})
		}
		return early
	})
	for _, g := range groupsOf(batch, now) {
		r.recoverGroup(ctx, g, part, waits)
	}
}

// replicationWaits says how long each search has to wait until the high watermark passes
// all that its owner has appended.
func (r *Reader) replicationWaits(ctx context.Context, batch []*search, part kafka.Partition) (map[*search]time.Duration, error) {
	if !slices.ContainsFunc(batch, func(s *search) bool { return !s.fenced() }) {
		return nil, nil //nolint:nilnil // nothing to wait for
	}
	facts, err := r.replicationOf(ctx, part.Topic)
	if err != nil {
		return nil, err
	}
	replicas, ok := facts[part.Number]
	if !ok {
		return nil, fmt.Errorf("%s no longer exists", part)
	}
	now, waits := failpoint.Now(), map[*search]time.Duration{}
	for _, s := range batch {
		if !s.fenced() {
			waits[s] = replicas.left(s.ended, now)
		}
	}
	return waits, nil
}

// recoverGroup ends all searches of a group.
func (r *Reader) recoverGroup(ctx context.Context, g group, part kafka.Partition, waits map[*search]time.Duration) {
	s, err := r.recoverySpan(ctx, g.searches, part)
	if err != nil {
		for _, one := range g.searches {
			one.end(nil, err)
		}
		return
	}
	pass := newPass(r, part, g.searches)
	pass.next = s.from
	err = pass.read(ctx, s)
	for _, s := range pass.left() {
		r.memory.keep(s, part, pass.next, nil)
		switch {
		case err != nil:
			s.end(nil, err)
		case waits[s] > 0:
			s.end(nil, errUndecided{waits[s]})
		default:
			s.end(nil, nil)
		}
	}
}

// recoverySpan is what the searches have to read, up to the high watermark as it is now.
func (r *Reader) recoverySpan(ctx context.Context, searches []*search, part kafka.Partition) (span, error) {
	s := span{Partition: part, from: -1}
	var from time.Time // of those that begin
	for _, one := range searches {
		if known, ok := r.memory.recall(one, part); ok {
			if s.from < 0 || known.next < s.from {
				s.from = known.next
			}
		} else if from.IsZero() || one.from.Before(from) {
			from = one.from
		}
	}
	ends, err := r.scan.offsets(ctx, []kafka.Partition{part}, time.Time{})
	if err != nil {
		return s, err
	}
	s.to = ends[part]
	if !from.IsZero() {
		begins, err := r.scan.offsets(ctx, []kafka.Partition{part}, from)
		if err != nil {
			return s, err
		}
		begin := begins[part]
		if begin == noneThatRecent {
			begin = s.to
		}
		if s.from < 0 || begin < s.from {
			s.from = begin
		}
	}
	return s, nil
}

// pass is one reading of a partition for some searches.
type pass struct {
	reader  *Reader
	part    kafka.Partition
	open    map[string][]*search // by gw_claim
	byEnd   []*search            // those that a stamp can end, the earliest first
	waiting int
	next    int64 // everything before it was seen
}

func newPass(r *Reader, part kafka.Partition, searches []*search) *pass {
	p := &pass{reader: r, part: part, open: make(map[string][]*search, len(searches)), waiting: len(searches)}
	for _, s := range searches {
		p.open[s.id.String()] = append(p.open[s.id.String()], s)
		if !s.fenced() {
			p.byEnd = append(p.byEnd, s)
		}
	}
	slices.SortFunc(p.byEnd, func(a, b *search) int { return cmp.Or(a.behind.Compare(b.behind), a.from.Compare(b.from)) })
	return p
}

// read looks for all searches in the span, and stops when none is left.
func (p *pass) read(ctx context.Context, s span) error {
	reader, err := p.reader.scan.newReader()
	if err != nil {
		return err
	}
	defer reader.close()
	p.next, err = readOn(ctx, reader, s, p.visit)
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

func (p *pass) visit(m *logRecord) error {
	if claim := m.header(event.HeaderClaim); claim != nil {
		p.meet(m, claim)
	}
	for len(p.byEnd) > 0 {
		first := p.byEnd[0]
		if !first.over {
			if m.timestamp.Before(first.behind) || !m.stamped && !p.reader.wrote(m) {
				break
			}
			p.reader.memory.keep(first, p.part, m.offset, nil)
			p.end(first, nil)
		}
		p.byEnd = p.byEnd[1:]
	}
	if p.waiting == 0 {
		return errStop
	}
	return nil
}

// meet ends the searches for a record's claim. A record from before the claim belongs to
// an earlier use of the key, which is forgotten.
func (p *pass) meet(m *logRecord, claim []byte) {
	for _, s := range p.open[string(claim)] {
		if s.over || m.timestamp.Before(s.from) {
			continue
		}
		receipt := receiptOf(m)
		p.reader.memory.keep(s, p.part, m.offset, &receipt)
		p.end(s, &receipt)
	}
}

func (p *pass) end(s *search, found *event.Receipt) {
	s.end(found, nil)
	p.waiting--
}

// left are the searches that have not ended.
func (p *pass) left() (left []*search) {
	for _, all := range p.open {
		for _, s := range all {
			if !s.over {
				left = append(left, s)
			}
		}
	}
	return left
}
