package kafka

import (
	"context"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Members asks who is in groups. Those that are listed as empty are not asked for.
func (s *Survey) Members(ctx context.Context, groups []ListedGroup) map[string]GroupMembers {
	found := make(map[string]GroupMembers, len(groups))
	client, err := s.connect()
	names := map[string][]string{}
	for _, g := range groups {
		if g.State == "Empty" || err != nil {
			found[g.Name] = GroupMembers{State: g.State, Err: err}
			continue
		}
		names[g.Type] = append(names[g.Type], g.Name)
	}
	ask := func(kind string, req kmsg.Request, add func(kmsg.Response)) {
		if len(names[kind]) == 0 {
			return
		}
		for _, shard := range client.RequestSharded(ctx, req) {
			if shard.Err == nil {
				add(shard.Resp)
			} else {
				failMembers(found, shard)
			}
		}
	}
	classic := kmsg.NewPtrDescribeGroupsRequest()
	classic.Groups = names[GroupClassic]
	ask(GroupClassic, classic, func(resp kmsg.Response) { addClassic(found, resp.(*kmsg.DescribeGroupsResponse)) })
	consumer := kmsg.NewPtrConsumerGroupDescribeRequest()
	consumer.Groups = names[GroupConsumer]
	ask(GroupConsumer, consumer, func(resp kmsg.Response) { addConsumer(found, resp.(*kmsg.ConsumerGroupDescribeResponse)) })
	share := kmsg.NewPtrShareGroupDescribeRequest()
	share.GroupIDs = names[GroupShare]
	ask(GroupShare, share, func(resp kmsg.Response) { addShare(found, resp.(*kmsg.ShareGroupDescribeResponse)) })
	return found
}

// failMembers says of the groups of a question why there is no answer.
func failMembers(found map[string]GroupMembers, shard kgo.ResponseShard) {
	var names []string
	switch req := shard.Req.(type) {
	case *kmsg.DescribeGroupsRequest:
		names = req.Groups
	case *kmsg.ConsumerGroupDescribeRequest:
		names = req.Groups
	case *kmsg.ShareGroupDescribeRequest:
		names = req.GroupIDs
	}
	for _, name := range names {
		found[name] = GroupMembers{Err: fmt.Errorf("describe it: %w", shard.Err)}
	}
}

func hostOf(address string) string { return strings.TrimPrefix(address, "/") }

func addClassic(found map[string]GroupMembers, resp *kmsg.DescribeGroupsResponse) {
	for _, g := range resp.Groups {
		one := GroupMembers{State: g.State, Members: len(g.Members), Assigned: map[Partition]string{}, Err: kerr.ErrorForCode(g.ErrorCode)}
		for _, m := range g.Members {
			var assigned kmsg.ConsumerMemberAssignment
			if g.ProtocolType != "consumer" || assigned.ReadFrom(m.MemberAssignment) != nil {
				continue
			}
			for _, t := range assigned.Topics {
				for _, n := range t.Partitions {
					one.Assigned[Partition{t.Topic, n}] = hostOf(m.ClientHost)
				}
			}
		}
		found[g.Group] = one
	}
}

func addConsumer(found map[string]GroupMembers, resp *kmsg.ConsumerGroupDescribeResponse) {
	for _, g := range resp.Groups {
		one := GroupMembers{State: g.State, Members: len(g.Members), Assigned: map[Partition]string{}, Err: kerr.ErrorForCode(g.ErrorCode)}
		for _, m := range g.Members {
			for _, t := range m.Assignment.TopicPartitions {
				for _, n := range t.Partitions {
					one.Assigned[Partition{t.Topic, n}] = hostOf(m.ClientHost)
				}
			}
		}
		found[g.Group] = one
	}
}

// addShare notes one of the members for each partition: several read it.
func addShare(found map[string]GroupMembers, resp *kmsg.ShareGroupDescribeResponse) {
	for _, g := range resp.Groups {
		one := GroupMembers{State: g.GroupState, Members: len(g.Members), Assigned: map[Partition]string{}, Err: kerr.ErrorForCode(g.ErrorCode)}
		for _, m := range g.Members {
			for _, t := range m.Assignment.TopicPartitions {
				for _, n := range t.Partitions {
					one.Assigned[Partition{t.Topic, n}] = hostOf(m.ClientHost)
				}
			}
		}
		found[g.GroupID] = one
	}
}
