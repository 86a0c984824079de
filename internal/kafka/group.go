package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	// groupHeartbeat tells the others within a second and a half of a rebalance.
	groupHeartbeat = 1500 * time.Millisecond
	// groupRebalance is how long a rebalance waits for a member that does not rejoin.
	groupRebalance = 20 * time.Second
	// groupFetchWait bounds how long a partition that is resumed waits for the fetch of
	// others.
	groupFetchWait = time.Second
	// groupFetchBytes bounds what one broker's answer holds; groupPartitionBytes is of it
	// for each partition. A larger record is fetched alone.
	groupFetchBytes, groupPartitionBytes = 4 << 20, 512 << 10
	// groupLeave bounds leaving a group.
	groupLeave = 5 * time.Second
	// offsetCommitVersion is the newest in which topics have names, and not ids.
	offsetCommitVersion = 9
	// groupRequest bounds one question of a group's members.
	groupRequest = 10 * time.Second
)

// Record is a record as a Group reads it; control records, which end transactions, are
// among them.
type Record = kgo.Record

// RecordHeader is a header of a Record.
type RecordHeader = kgo.RecordHeader

// Committed is a committed offset: of the first record that is not finished. Offset is -1
// for none.
type Committed struct {
	Offset   int64
	Metadata string // at most 4,096 characters, or Kafka refuses the commit
}

// GroupHandler learns which partitions a member of a group has. Its methods are called
// one after the other.
type GroupHandler interface {
	// Assigned is called before the first record of the partitions comes. A partition
	// without a commit begins at its first record.
	Assigned(map[Partition]Committed)
	// Revoked is called while the partitions still belong to this member: it may commit
	// them until Revoked returns, and must not use them afterwards.
	Revoked(context.Context, []Partition)
	// Lost is Revoked for partitions that may already belong to another member.
	Lost([]Partition)
}

// GroupConfig describes a member of a consumer group.
type GroupConfig struct {
	Name    string
	Topics  []string
	Session time.Duration // after it, the partitions of a silent member are given to others
	// ServerSide lets the broker assign partitions (KIP-848): the session is then the broker's.
	ServerSide bool
}

// Group is one member of a consumer group, and reads committed records with franz-go: it
// costs no thread. It never resets an offset: a partition whose committed offset is out
// of range fails, and the others go on.
type Group struct {
	cfg     GroupConfig
	client  *kgo.Client
	admin   *kadm.Client
	handler GroupHandler

	made       chan struct{} // closed when client is set: it may have partitions before
	committing sync.Mutex    // held during a commit
	owned      map[Partition]bool
}

// JoinGroup makes a member; partitions come while [Group.Poll] is called.
func (c Connection) JoinGroup(cfg GroupConfig, handler GroupHandler, logger *slog.Logger) (*Group, error) {
	opts, missing, err := c.FranzOptions()
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("join group %s: %s", cfg.Name, onlyLibrdkafka(missing))
	}
	g := &Group{cfg: cfg, handler: handler, owned: map[Partition]bool{}, made: make(chan struct{})}
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(int16(kmsg.OffsetCommit), offsetCommitVersion)
	opts = append(opts,
		kgo.WithLogger(FranzLogger(logger)), kgo.MaxVersions(versions),
		kgo.ConsumerGroup(cfg.Name), kgo.ConsumeTopics(cfg.Topics...),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(cfg.Session), kgo.HeartbeatInterval(groupHeartbeat), kgo.RebalanceTimeout(groupRebalance),
		kgo.DisableAutoCommit(), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.BlockRebalanceOnPoll(),
		kgo.FetchMaxWait(groupFetchWait), kgo.FetchMaxBytes(groupFetchBytes), kgo.FetchMaxPartitionBytes(groupPartitionBytes),
		kgo.AdjustFetchOffsetsFn(g.assigned),
		kgo.OnPartitionsRevoked(func(ctx context.Context, _ *kgo.Client, parts map[string][]int32) {
			handler.Revoked(ctx, partitionList(parts))
			g.disown(partitionList(parts))
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			g.disown(partitionList(parts))
			handler.Lost(partitionList(parts))
		}),
	)
	if cfg.ServerSide {
		opts = append(opts, kgo.ServerSideBalancer(), kgo.Balancers(kgo.StickyBalancer()))
	}
	if g.client, err = kgo.NewClient(opts...); err != nil {
		return nil, fmt.Errorf("join group %s: %w", cfg.Name, err)
	}
	g.admin = kadm.NewClient(g.client)
	close(g.made)
	return g, nil
}

// assigned asks for the commits once more: franz-go leaves out their metadata.
func (g *Group) assigned(ctx context.Context, starts map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	<-g.made
	if len(starts) == 0 {
		return starts, nil
	}
	ctx, cancel := context.WithTimeout(ctx, groupRequest)
	defer cancel()
	commits, err := fetchOffsets(ctx, g.admin, g.cfg.Name)
	if err != nil {
		return nil, err
	}
	all := map[Partition]Committed{}
	for topic, partitions := range starts {
		for number := range partitions {
			from := Committed{Offset: -1}
			starts[topic][number] = kgo.NewOffset().AtStart()
			if c, ok := commits.Lookup(topic, number); ok && c.At >= 0 {
				from = Committed{Offset: c.At, Metadata: c.Metadata}
				starts[topic][number] = kgo.NewOffset().At(c.At)
			}
			all[Partition{topic, number}] = from
		}
	}
	g.committing.Lock()
	for p := range all {
		g.owned[p] = true
	}
	g.committing.Unlock()
	g.handler.Assigned(all)
	return starts, nil
}

func partitionList(parts map[string][]int32) (list []Partition) {
	for topic, numbers := range parts {
		for _, n := range numbers {
			list = append(list, Partition{topic, n})
		}
	}
	return list
}

// PartitionError is why a partition brings nothing; Partition is zero if all do.
type PartitionError struct {
	Partition Partition
	Err       error
}

func (e PartitionError) Error() string {
	if e.Partition == (Partition{}) {
		return e.Err.Error()
	}
	return e.Partition.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e PartitionError) Unwrap() error { return e.Err }

// OutOfRange reports whether Kafka no longer has, or never had, the record at the
// committed offset: it was deleted, or the topic was made anew.
func (e PartitionError) OutOfRange() bool { return errors.Is(e.Err, kerr.OffsetOutOfRange) }

// Poll waits for records, at most so many, until there are some or ctx ends, and gives
// them to take. The records of a partition are in order. No partition is revoked or lost
// until take has returned: otherwise records of an earlier assignment could come into a
// later one, before the records that it begins with.
func (g *Group) Poll(ctx context.Context, most int, take func([]*Record)) (n int, failed []PartitionError) {
	defer g.client.AllowRebalance()
	fetches := g.client.PollRecords(ctx, most)
	fetches.EachError(func(topic string, number int32, err error) {
		if ctx.Err() == nil {
			failed = append(failed, PartitionError{Partition{topic, number}, err})
		}
	})
	records := fetches.Records()
	if len(records) > 0 {
		take(records)
	}
	return len(records), failed
}

// Pause stops fetching partitions. What was fetched of them and not polled is fetched
// again after Resume.
func (g *Group) Pause(parts ...Partition) { g.client.PauseFetchPartitions(byTopic(parts)) }

// Resume goes on fetching partitions.
func (g *Group) Resume(parts ...Partition) { g.client.ResumeFetchPartitions(byTopic(parts)) }

func byTopic(parts []Partition) map[string][]int32 {
	m := map[string][]int32{}
	for _, p := range parts {
		m[p.Topic] = append(m[p.Topic], p.Number)
	}
	return m
}

// Commit commits offsets with their metadata; partitions that this member no longer has
// are left out. Unlike franz-go's own commit it does not wait for a rebalance: Kafka takes
// commits until all members have joined again, and a member that died is waited for as
// long as its session lasts.
func (g *Group) Commit(ctx context.Context, commits map[Partition]Committed) error {
	g.committing.Lock() // one at a time, so that an older one never comes last
	defer g.committing.Unlock()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = g.cfg.Name
	req.MemberID, req.Generation = g.client.GroupMetadata()
	topics := map[string][]kmsg.OffsetCommitRequestTopicPartition{}
	for p, c := range commits {
		if !g.owned[p] {
			continue
		}
		one := kmsg.NewOffsetCommitRequestTopicPartition()
		one.Partition, one.Offset, one.Metadata = p.Number, c.Offset, &c.Metadata
		topics[p.Topic] = append(topics[p.Topic], one)
	}
	if len(topics) == 0 {
		return nil
	}
	for topic, partitions := range topics {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic, t.Partitions = topic, partitions
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, g.client)
	if err == nil {
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if e := kerr.ErrorForCode(p.ErrorCode); e != nil {
					err = errors.Join(err, PartitionError{Partition{t.Topic, p.Partition}, e})
				}
			}
		}
	}
	if err != nil {
		return fmt.Errorf("commit offsets of group %s: %w", g.cfg.Name, err)
	}
	return nil
}

// Rebalancing reports whether a commit failed only because a rebalance was on: it can be
// done again soon.
func Rebalancing(err error) bool {
	return errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.StaleMemberEpoch)
}

// disown ends the right to commit partitions. It waits for a commit that is on.
func (g *Group) disown(parts []Partition) {
	g.committing.Lock()
	defer g.committing.Unlock()
	for _, p := range parts {
		delete(g.owned, p)
	}
}

// Close leaves the group: Revoked is called, then the partitions go to others. If Kafka is
// away, they go when the session is over.
func (g *Group) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), groupLeave)
	defer cancel()
	_ = g.client.LeaveGroupContext(ctx) // a group that was not left is left by its session
	g.client.CloseAllowingRebalance()
}

// Start says where a group begins in a topic of which it has committed nothing.
type Start struct {
	Earliest bool
	Time     time.Time // zero, and not Earliest: at the end
}

// GroupAdmin asks and sets what concerns groups from outside. It connects when it is first used.
type GroupAdmin struct {
	once   sync.Once
	conn   Connection
	logger *slog.Logger
	admin  *kadm.Client
	err    error
}

// GroupAdmin returns an admin client that must be closed.
func (c Connection) GroupAdmin(logger *slog.Logger) *GroupAdmin {
	return &GroupAdmin{conn: c, logger: logger}
}

func (a *GroupAdmin) client() (*kadm.Client, error) {
	a.once.Do(func() {
		opts, missing, err := a.conn.FranzOptions()
		if err == nil && len(missing) > 0 {
			err = errors.New(onlyLibrdkafka(missing))
		}
		if err == nil {
			var client *kgo.Client
			if client, err = kgo.NewClient(append(opts, kgo.WithLogger(FranzLogger(a.logger)))...); err == nil {
				a.admin = kadm.NewClient(client)
			}
		}
		if err != nil {
			a.err = fmt.Errorf("create kafka client for groups: %w", err)
		}
	})
	return a.admin, a.err
}

// Close ends the connections. It may be called twice.
func (a *GroupAdmin) Close() {
	a.once.Do(func() { a.err = errClosed })
	if a.admin != nil {
		a.admin.Close()
	}
}

// Topics are those of the given topics that exist, with their numbers of partitions.
func (a *GroupAdmin) Topics(ctx context.Context, names ...string) (map[string]int, error) {
	admin, err := a.client()
	if err != nil {
		return nil, err
	}
	details, err := admin.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("ask kafka for topics: %w", err)
	}
	exist := map[string]int{}
	for _, d := range details {
		switch {
		case d.Err == nil:
			exist[d.Topic] = len(d.Partitions)
		case !errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			return nil, fmt.Errorf("ask kafka for topic %s: %w", d.Topic, d.Err)
		}
	}
	return exist, nil
}

// fetchOffsets returns what a group has committed; nothing, if there is no such group.
func fetchOffsets(ctx context.Context, admin *kadm.Client, group string) (kadm.OffsetResponses, error) {
	commits, err := admin.FetchOffsets(ctx, group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err == nil {
		err = commits.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the offsets of group %s: %w", group, err)
	}
	return commits, nil
}

// CommitStarts commits where a group begins, for all partitions of those topics of which
// it has committed nothing. starts has each topic's. It must be called before a member
// joins: Kafka refuses commits from outside while there are members, and then one of them
// has done it.
func (a *GroupAdmin) CommitStarts(ctx context.Context, group string, starts map[string]Start) error {
	admin, err := a.client()
	if err != nil {
		return err
	}
	known, err := fetchOffsets(ctx, admin, group)
	if err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	for topic, start := range starts {
		if _, ok := known[topic]; ok {
			continue
		}
		begins, err := a.Starts(ctx, start, topic)
		if err != nil {
			return fmt.Errorf("find where %s begins in %s: %w", group, topic, err)
		}
		for p, at := range begins {
			offsets.AddOffset(p.Topic, p.Number, at, -1)
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	done, err := admin.CommitOffsets(ctx, group, offsets)
	if err == nil {
		err = done.Error()
	}
	if err != nil {
		return fmt.Errorf("commit where group %s begins: %w", group, err)
	}
	return nil
}

// LogStarts are the first offsets that Kafka still has.
func (a *GroupAdmin) LogStarts(ctx context.Context, topic string) (map[int32]int64, error) {
	admin, err := a.client()
	if err != nil {
		return nil, err
	}
	listed, err := admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("ask kafka where %s begins: %w", topic, err)
	}
	first := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { first[o.Partition] = o.Offset })
	return first, nil
}

// Retention is how long Kafka keeps records of the topics; a topic that keeps all is left
// out.
func (a *GroupAdmin) Retention(ctx context.Context, topics ...string) (map[string]time.Duration, error) {
	admin, err := a.client()
	if err != nil {
		return nil, err
	}
	return retention(ctx, admin, topics)
}

func retention(ctx context.Context, admin *kadm.Client, topics []string) (map[string]time.Duration, error) {
	all, err := admin.DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("ask kafka for retention: %w", err)
	}
	kept := map[string]time.Duration{}
	for _, topic := range all {
		if topic.Err != nil {
			continue // of a topic that is missing
		}
		deletes, keeps := false, time.Duration(-1)
		for _, c := range topic.Configs {
			switch c.Key {
			case "cleanup.policy":
				deletes = slices.Contains(splitComma(c.MaybeValue()), "delete")
			case "retention.ms":
				keeps = parseMillis(c.MaybeValue())
			}
		}
		if deletes && keeps >= 0 {
			kept[topic.Name] = keeps
		}
	}
	return kept, nil
}
