package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

const (
	// surveyFetchVersion is the newest in which topics have names, and not ids.
	surveyFetchVersion = 12
	// surveyRetries and surveyRetryTimeout bound how long one broker that is away holds up
	// an answer that all others have given.
	surveyRetries      = 2
	surveyRetryTimeout = 3 * time.Second
)

// The types of groups, in Kafka's words.
const (
	GroupClassic  = "classic"
	GroupConsumer = "consumer" // KIP-848
	GroupShare    = "share"    // KIP-932
	GroupStreams  = "streams"  // KIP-1071
)

// ListedGroup is one group of the cluster.
type ListedGroup struct {
	Name     string
	Type     string // GroupClassic, …; brokers before 3.8 do not tell, and have only these
	Protocol string // "consumer", "connect", …; "" for offsets that are committed without members
	State    string // "Stable", "Empty", …; "" from brokers before 2.6
}

// GroupMembers is who is in a group.
type GroupMembers struct {
	State    string
	Members  int
	Assigned map[Partition]string // hosts, by what they read
	Err      error                // why Kafka does not tell
}

// GroupCommits is what a group has committed.
type GroupCommits struct {
	Commits []Commit
	Err     error // why Kafka does not tell
}

// Commit is where a group is in one partition.
type Commit struct {
	Partition
	Offset int64 // -1: nothing is committed
	// Lag is what the broker itself counts for a share group; -1: it does not.
	Lag int64
	Err error
}

// Survey reads from outside what all groups have committed, and where their logs begin
// and end. Each of its questions is one request to each broker that has a part of the
// answer, so that thousands of groups cost few requests. What a broker refuses, or cannot
// tell, is an error of that group or partition alone.
//
// It changes nothing. It connects when it is first used.
type Survey struct {
	once   sync.Once
	conn   Connection
	logger *slog.Logger
	client *kgo.Client
	err    error
}

// Survey returns a survey that must be closed.
func (c Connection) Survey(logger *slog.Logger) *Survey { return &Survey{conn: c, logger: logger} }

func (s *Survey) connect() (*kgo.Client, error) {
	s.once.Do(func() {
		opts, missing, err := s.conn.FranzOptions()
		if err == nil && len(missing) > 0 {
			err = errors.New(onlyLibrdkafka(missing))
		}
		if err == nil {
			versions := kversion.Stable()
			versions.SetMaxKeyVersion(int16(kmsg.Fetch), surveyFetchVersion)
			s.client, err = kgo.NewClient(append(opts, kgo.MaxVersions(versions), kgo.WithLogger(FranzLogger(s.logger)),
				kgo.RequestRetries(surveyRetries), kgo.RetryTimeout(surveyRetryTimeout))...)
		}
		if err != nil {
			s.err = fmt.Errorf("create kafka client for consumer groups: %w", err)
		}
	})
	return s.client, s.err
}

// Close ends the connections. It may be called twice.
func (s *Survey) Close() {
	s.once.Do(func() { s.err = errClosed })
	if s.client != nil {
		s.client.Close()
	}
}

// Groups lists the groups that the user may describe. unanswered says of which brokers
// the groups are missing; err that none has answered.
func (s *Survey) Groups(ctx context.Context) (groups []ListedGroup, unanswered []error, err error) {
	client, err := s.connect()
	if err != nil {
		return nil, nil, err
	}
	seen, answers := map[string]bool{}, 0
	for _, shard := range client.RequestSharded(ctx, kmsg.NewPtrListGroupsRequest()) {
		resp, ok := shard.Resp.(*kmsg.ListGroupsResponse)
		failure := shard.Err
		if failure == nil && ok {
			failure = kerr.ErrorForCode(resp.ErrorCode)
		}
		if failure != nil {
			unanswered = append(unanswered, fmt.Errorf("list the groups of broker %d: %w", shard.Meta.NodeID, failure))
			continue
		}
		answers++
		for _, g := range resp.Groups {
			if seen[g.Group] { // its coordinator is just moving
				continue
			}
			seen[g.Group] = true
			listed := ListedGroup{Name: g.Group, Type: g.GroupType, Protocol: g.ProtocolType, State: g.GroupState}
			if listed.Type == "" {
				listed.Type = GroupClassic
			}
			groups = append(groups, listed)
		}
	}
	if answers == 0 {
		return nil, unanswered, errors.Join(append(unanswered, ctx.Err())...)
	}
	return groups, unanswered, nil
}

// Commits asks what groups have committed. Groups that are gone by now have no commits.
func (s *Survey) Commits(ctx context.Context, groups []ListedGroup) map[string]GroupCommits {
	found := make(map[string]GroupCommits, len(groups))
	client, err := s.connect()
	if err != nil {
		for _, g := range groups {
			found[g.Name] = GroupCommits{Err: err}
		}
		return found
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	for _, g := range groups {
		if g.Type != GroupShare {
			one := kmsg.NewOffsetFetchRequestGroup()
			one.Group = g.Name
			req.Groups = append(req.Groups, one)
		}
	}
	if len(req.Groups) > 0 {
		for _, shard := range client.RequestSharded(ctx, req) {
			addCommits(found, shard)
		}
	}
	s.shareCommits(ctx, client, groups, found)
	return found
}

func addCommits(found map[string]GroupCommits, shard kgo.ResponseShard) {
	resp, ok := shard.Resp.(*kmsg.OffsetFetchResponse)
	if shard.Err != nil || !ok {
		if req, is := shard.Req.(*kmsg.OffsetFetchRequest); is {
			for _, g := range req.Groups {
				found[g.Group] = GroupCommits{Err: fmt.Errorf("fetch its offsets: %w", shard.Err)}
			}
		}
		return
	}
	for _, g := range resp.Groups {
		one := GroupCommits{Err: kerr.ErrorForCode(g.ErrorCode)}
		if errors.Is(one.Err, kerr.GroupIDNotFound) {
			one.Err = nil
		}
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				one.Commits = append(one.Commits, Commit{
					Partition: Partition{t.Topic, p.Partition}, Offset: max(p.Offset, -1), Lag: -1, Err: kerr.ErrorForCode(p.ErrorCode),
				})
			}
		}
		found[g.Group] = one
	}
}

// errShareGroups is for brokers that have share groups, and do not tell their offsets.
var errShareGroups = errors.New("this broker does not tell the offsets of share groups (Kafka 4.1 or later does)")

// shareCommits asks where share groups are. A broker counts their lag itself, from
// version 1 of the answer on.
func (s *Survey) shareCommits(ctx context.Context, client *kgo.Client, groups []ListedGroup, found map[string]GroupCommits) {
	req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
	for _, g := range groups {
		if g.Type == GroupShare {
			one := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
			one.GroupID = g.Name
			req.Groups = append(req.Groups, one)
			found[g.Name] = GroupCommits{Err: errShareGroups}
		}
	}
	if len(req.Groups) == 0 {
		return
	}
	for _, shard := range client.RequestSharded(ctx, req) {
		resp, ok := shard.Resp.(*kmsg.DescribeShareGroupOffsetsResponse)
		if shard.Err != nil || !ok {
			continue
		}
		for _, g := range resp.Groups {
			one := GroupCommits{Err: kerr.ErrorForCode(g.ErrorCode)}
			for _, t := range g.Topics {
				for _, p := range t.Partitions {
					one.Commits = append(one.Commits, Commit{
						Partition: Partition{t.Topic, p.Partition}, Offset: max(p.StartOffset, -1), Lag: p.Lag, Err: kerr.ErrorForCode(p.ErrorCode),
					})
				}
			}
			found[g.GroupID] = one
		}
	}
}

// Refused reports whether Kafka does not let this user do what failed.
func Refused(err error) bool {
	return errors.Is(err, kerr.GroupAuthorizationFailed) || errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed)
}

// Missing reports whether something failed because there is no such topic or partition.
func Missing(err error) bool { return errors.Is(err, kerr.UnknownTopicOrPartition) }
