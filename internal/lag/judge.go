package lag

import (
	"time"

	"eventgateway/internal/kafka"
)

func (m *Monitor) judgeGroup(now time.Time, g *groupFacts) Group {
	group := Group{Name: g.Name, Type: g.Type, Kafka: g.members.State, Topics: []Topic{}}
	if group.Kafka == "" {
		group.Kafka = g.State
	}
	if g.members.Err == nil {
		group.Members = known(int64(g.members.Members))
	}
	switch {
	case g.commits.Err != nil:
		group.State, group.Error, group.Kind = Unreadable, g.commits.Err.Error(), reason(g.commits.Err)
		return group
	case g.members.Err != nil:
		group.Error, group.Kind = g.members.Err.Error(), reason(g.members.Err)
	}
	for begin := 0; begin < len(g.parts); {
		end := begin + 1
		for end < len(g.parts) && g.parts[end].commit.Topic == g.parts[begin].commit.Topic {
			end++
		}
		topic := m.judgeTopic(now, g.Name, g.parts[begin:end])
		group.State = worse(group.State, topic.State)
		group.Topics = append(group.Topics, topic)
		begin = end
	}
	if group.State == "" { // neither commits nor assignments
		group.State = NoCommit
	}
	return group
}

func (m *Monitor) judgeTopic(now time.Time, group string, parts []partFacts) Topic {
	topic := Topic{Name: parts[0].commit.Topic}
	for i := range parts {
		p := m.judge(now, &parts[i])
		topic.State = worse(topic.State, p.State)
		topic.Records.add(p.Records)
		topic.Undelivered.add(p.Undelivered)
		topic.Lost += p.Lost
		topic.Age.most(p.Age)
		topic.States.add(p.State)
		if !p.Undelivered.Known {
			topic.Unknown++
		}
		if p.Kind != ReasonNone {
			if topic.Unreadable == nil {
				topic.Unreadable = map[Reason]int{}
			}
			topic.Unreadable[p.Kind]++
		}
		if m.cfg.Partitions {
			topic.Partitions = append(topic.Partitions, p)
		}
	}
	if keeps := m.retention[topic.Name].time; keeps > 0 && topic.Age.Known && topic.Undelivered.N > 0 {
		used := Ratio(topic.Age.D.Seconds() / keeps.Seconds())
		topic.Retention = &used
	}
	h := m.histories[topicKey{group, topic.Name}]
	if h == nil {
		h = &history{}
		m.histories[topicKey{group, topic.Name}] = h
	}
	h.pass = m.pass
	h.add(now, topic.Undelivered.N)
	topic.History = h.list()
	if change, ok := h.change(); ok {
		topic.Change = &change
	}
	return topic
}

// judge says what one partition looks like.
func (m *Monitor) judge(now time.Time, p *partFacts) Partition {
	part := Partition{Number: p.commit.Number, Host: p.host}
	if err := firstError(p.commit.Err, p.bounds.Err); err != nil {
		part.State, part.Error, part.Kind = Unreadable, err.Error(), reason(err)
		if p.commit.Offset >= 0 && p.commit.Err == nil {
			part.Committed = known(p.commit.Offset)
		}
		return part
	}
	b := p.bounds
	part.Start, part.Stable, part.End = known(b.Start), known(b.Stable), known(b.End)
	if p.commit.Offset < 0 {
		part.State = NoCommit
		if grew := p.track.noCommit(now, b.End); p.held && !grew.IsZero() && now.Sub(grew) >= m.cfg.StuckAfter {
			part.State = Stuck // not even its first record was finished
		}
		return part
	}
	part.Committed = known(p.commit.Offset)
	p.track.commit(now, p.commit.Offset)
	if p.commit.Lag >= 0 { // a share group acknowledges out of order: only the broker knows
		part.Records = known(p.commit.Lag)
	} else {
		part.Records = known(max(0, b.End-p.commit.Offset))
	}
	part.Lost = max(0, b.Start-p.commit.Offset)
	m.measureWaiting(now, p, &part)
	p.track.waits.add(part.Undelivered.N)
	part.State = m.stateOf(now, p, part)
	return part
}

// measureWaiting sets what waits, and for how long.
func (m *Monitor) measureWaiting(now time.Time, p *partFacts, part *Partition) {
	from, stable := max(p.commit.Offset, p.bounds.Start), p.bounds.Stable
	record := p.track.record
	switch {
	case from >= stable || record.Offset < 0 && record.Err == nil:
		part.Undelivered, part.Age = known(0), knownAge(0)
	case record.Err != nil:
		// It was not read. There are as many offsets, and at most as many records.
		part.Undelivered = known(max(0, stable-max(from, record.Clear)))
		part.Error = record.Err.Error()
		if kind := reason(record.Err); kind == ReasonPermission {
			part.Kind = kind
		}
	default:
		part.Undelivered = known(max(0, stable-record.Offset))
		age := now.Sub(record.Time)
		part.FutureTime = age < 0
		part.Age = knownAge(max(0, age))
	}
	if p.commit.Lag >= 0 && part.Undelivered.N > p.commit.Lag {
		part.Undelivered = known(p.commit.Lag)
	}
}

// stateOf tells the state of a partition that can be read.
func (m *Monitor) stateOf(now time.Time, p *partFacts, part Partition) State {
	idle := now.Sub(p.track.since) >= m.cfg.StuckAfter
	waited := !part.Age.Known || part.Age.D >= m.cfg.StuckAfter
	switch {
	case part.Lost > 0:
		return Lost
	case p.commit.Offset > p.bounds.End:
		return Ahead
	case part.Undelivered.N == 0:
		return OK
	case !p.held && waited && part.Age.Known && (idle || !p.track.moved):
		return Abandoned
	case p.held && waited && idle:
		return Stuck
	}
	switch p.track.waits.trend() {
	case 1:
		return Rising
	case -1:
		return Falling
	}
	return OK
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func reason(err error) Reason {
	switch {
	case err == nil:
		return ReasonNone
	case kafka.Refused(err):
		return ReasonPermission
	case kafka.Missing(err):
		return ReasonMissing
	}
	return ReasonOther
}
