package lag

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"eventgateway/internal/kafka"
)

const (
	// DefaultStuckAfter is how long nothing is committed while a record waits until a group
	// counts as stuck: most clients commit every five seconds, some every minute.
	DefaultStuckAfter = 2 * time.Minute
	// DefaultReadBudget bounds the bytes of records that one pass reads to know their age: a
	// second or less of a broker's disk and network.
	DefaultReadBudget = 64 << 20
	// retentionAge is how long a topic's retention is remembered.
	retentionAge = 10 * time.Minute
)

// Config says what is watched.
type Config struct {
	// Groups that match one of Include and none of Exclude; without Include, all.
	Include, Exclude []*regexp.Regexp
	StuckAfter       time.Duration // 0: DefaultStuckAfter
	ReadBudget       int64         // 0: DefaultReadBudget
	// Only narrows what Include and Exclude leave, if it is not empty.
	Only []*regexp.Regexp
	// Partitions keeps the single partitions in reports.
	Partitions bool
}

// Pattern compiles a pattern for names of groups: a regular expression (RE2) that has to
// match all of the name.
func Pattern(text string) (*regexp.Regexp, error) { return regexp.Compile("^(?:" + text + ")$") }

// Monitor makes passes, and remembers what trends need. It is not for concurrent use.
type Monitor struct {
	cfg       Config
	source    Source
	now       func() time.Time
	pass      int64
	tracks    map[trackKey]*track
	histories map[topicKey]*history
	retention map[string]kept
}

type topicKey struct{ group, topic string }

type kept struct {
	time  time.Duration // 0: for ever
	asked time.Time
}

// New returns a monitor.
func New(cfg Config, source Source) *Monitor {
	if cfg.StuckAfter <= 0 {
		cfg.StuckAfter = DefaultStuckAfter
	}
	if cfg.ReadBudget <= 0 {
		cfg.ReadBudget = DefaultReadBudget
	}
	return &Monitor{
		cfg: cfg, source: source, now: time.Now,
		tracks: map[trackKey]*track{}, histories: map[topicKey]*history{}, retention: map[string]kept{},
	}
}

// Reset forgets all passes.
func (m *Monitor) Reset() {
	clear(m.tracks)
	clear(m.histories)
	clear(m.retention)
}

// Watches reports whether a group's name is included.
func (c Config) Watches(group string) bool {
	matches := func(list []*regexp.Regexp) bool {
		return slices.ContainsFunc(list, func(re *regexp.Regexp) bool { return re.MatchString(group) })
	}
	return (len(c.Include) == 0 || matches(c.Include)) && !matches(c.Exclude) && (len(c.Only) == 0 || matches(c.Only))
}

// Pass asks Kafka once. The error is that no broker has answered.
func (m *Monitor) Pass(ctx context.Context) (*Report, error) {
	begun := m.now()
	listed, unanswered, err := m.source.Groups(ctx)
	if err != nil {
		return nil, err
	}
	listed = slices.DeleteFunc(listed, func(g kafka.ListedGroup) bool { return !m.cfg.Watches(g.Name) })
	slices.SortFunc(listed, func(a, b kafka.ListedGroup) int { return strings.Compare(a.Name, b.Name) })
	m.pass++
	found := m.gather(ctx, listed)
	report := &Report{At: m.now()}
	for _, err := range unanswered {
		report.Unanswered = append(report.Unanswered, err.Error())
	}
	report.Unread = m.readWaiting(ctx, found)
	m.askRetention(ctx, found)
	for _, g := range found {
		if g.gone() {
			continue
		}
		report.Groups = append(report.Groups, m.judgeGroup(report.At, g))
	}
	m.forget()
	report.Took = m.now().Sub(begun)
	return report, nil
}

// groupFacts are the answers about one group.
type groupFacts struct {
	kafka.ListedGroup
	members kafka.GroupMembers
	commits kafka.GroupCommits
	parts   []partFacts // by topic and number
}

// gone reports whether the group was deleted after it was listed.
func (g *groupFacts) gone() bool {
	return g.members.State == "Dead" && g.commits.Err == nil && len(g.parts) == 0
}

// partFacts are the answers about a group's partition.
type partFacts struct {
	commit kafka.Commit
	bounds kafka.Bounds
	host   string
	held   bool // a member reads it, as far as is known
	track  *track
}

// gather asks for everything but records.
func (m *Monitor) gather(ctx context.Context, listed []kafka.ListedGroup) []*groupFacts {
	var members map[string]kafka.GroupMembers
	var commits map[string]kafka.GroupCommits
	var asking sync.WaitGroup
	asking.Go(func() { members = m.source.Members(ctx, listed) })
	asking.Go(func() { commits = m.source.Commits(ctx, listed) })
	asking.Wait()

	found := make([]*groupFacts, len(listed))
	wanted := map[kafka.Partition]bool{}
	for i, g := range listed {
		found[i] = &groupFacts{ListedGroup: g, members: members[g.Name], commits: commits[g.Name]}
		found[i].setParts()
		for _, p := range found[i].parts {
			wanted[p.commit.Partition] = true
		}
	}
	partitions := make([]kafka.Partition, 0, len(wanted))
	for p := range wanted {
		partitions = append(partitions, p)
	}
	bounds := m.source.Bounds(ctx, partitions)
	var overtaken []kafka.ListedGroup
	for _, g := range found {
		g.setBounds(bounds)
		if g.overtaken() {
			overtaken = append(overtaken, g.ListedGroup)
		}
	}
	m.confirm(ctx, found, overtaken, bounds)
	for _, g := range found {
		for i := range g.parts {
			g.parts[i].track = m.track(g.Name, g.parts[i].commit.Partition)
		}
	}
	return found
}

// setParts joins what is committed and what members read.
func (g *groupFacts) setParts() {
	g.parts = g.parts[:0]
	held := func(p kafka.Partition) (string, bool) {
		host, ok := g.members.Assigned[p]
		switch {
		case ok:
			return host, true
		case g.members.Err != nil: // nobody knows
			return "", true
		case g.members.Members == 0:
			return "", false
		}
		// While members join, nothing is assigned, and other protocols than that of consumers
		// say in their own way what is.
		return "", g.members.State != "Stable" || g.Type == kafka.GroupClassic && g.Protocol != "consumer"
	}
	committed := make(map[kafka.Partition]bool, len(g.commits.Commits))
	for _, c := range g.commits.Commits {
		p := partFacts{commit: c}
		p.host, p.held = held(c.Partition)
		if c.Offset < 0 && c.Err == nil && !p.held {
			continue
		}
		committed[c.Partition] = true
		g.parts = append(g.parts, p)
	}
	for assigned, host := range g.members.Assigned {
		if !committed[assigned] && g.commits.Err == nil {
			g.parts = append(g.parts, partFacts{commit: kafka.Commit{Partition: assigned, Offset: -1, Lag: -1}, host: host, held: true})
		}
	}
	slices.SortFunc(g.parts, func(a, b partFacts) int {
		if a.commit.Topic != b.commit.Topic {
			return strings.Compare(a.commit.Topic, b.commit.Topic)
		}
		return int(a.commit.Number) - int(b.commit.Number)
	})
}

func (g *groupFacts) setBounds(bounds map[kafka.Partition]kafka.Bounds) {
	for i := range g.parts {
		g.parts[i].bounds = bounds[g.parts[i].commit.Partition]
	}
}

// overtaken reports whether a log begins after what the group has committed.
func (g *groupFacts) overtaken() bool {
	return slices.ContainsFunc(g.parts, func(p partFacts) bool {
		return p.bounds.Err == nil && p.commit.Offset >= 0 && p.commit.Offset < p.bounds.Start
	})
}

// confirm asks again for the commits of groups that seem to have lost records: they may
// have gone on before the log was shortened.
func (m *Monitor) confirm(ctx context.Context, found []*groupFacts, overtaken []kafka.ListedGroup, bounds map[kafka.Partition]kafka.Bounds) {
	if len(overtaken) == 0 {
		return
	}
	again := m.source.Commits(ctx, overtaken)
	for _, g := range found {
		newer, ok := again[g.Name]
		if !ok || newer.Err != nil {
			continue
		}
		at := make(map[kafka.Partition]kafka.Commit, len(newer.Commits))
		for _, c := range newer.Commits {
			at[c.Partition] = c
		}
		for i := range g.parts {
			p := &g.parts[i]
			// Other partitions keep what was committed before the ends of logs were asked for.
			if c, ok := at[p.commit.Partition]; ok && p.commit.Offset < p.bounds.Start && c.Err == nil {
				p.commit.Offset = min(c.Offset, max(bounds[c.Partition].End, p.commit.Offset))
			}
		}
	}
}
