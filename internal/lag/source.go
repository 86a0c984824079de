package lag

import (
	"context"
	"time"

	"eventgateway/internal/kafka"
)

// Source tells what consumer groups and logs look like now; *kafka.Survey does. Except for
// Groups, an error concerns one group or partition and stands beside it.
type Source interface {
	// Groups lists the groups. unanswered says of which brokers they are missing, err that
	// no broker has answered.
	Groups(ctx context.Context) (groups []kafka.ListedGroup, unanswered []error, err error)
	Members(ctx context.Context, groups []kafka.ListedGroup) map[string]kafka.GroupMembers
	Commits(ctx context.Context, groups []kafka.ListedGroup) map[string]kafka.GroupCommits
	Log
}

// Log tells about partitions and topics.
type Log interface {
	Bounds(ctx context.Context, partitions []kafka.Partition) map[kafka.Partition]kafka.Bounds
	// Waiting looks for the first record at each position, until it has read about budget
	// bytes, and answers by index.
	Waiting(ctx context.Context, positions []kafka.Position, budget int64) []kafka.Waiting
	// Retention is how long topics keep records; those that keep all are left out.
	Retention(ctx context.Context, topics []string) (map[string]time.Duration, error)
}
