package torture

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"eventgateway/internal/backoff"
)

// blastLoad posts events at a steady rate whatever the answers are, each once.
type blastLoad struct {
	*world
	o        BlastOptions
	place    kgo.TopicPartitioner // as gateways place keys
	inFlight sync.WaitGroup

	mu    sync.Mutex
	shots []shot
}

// shot is an event that was answered.
type shot struct {
	partition int32
	due       time.Time
	took      time.Duration // since it was due
	outcome   string        // "": accepted
}

func newBlastLoad(w *world, o BlastOptions) *blastLoad {
	return &blastLoad{world: w, o: o, place: kgo.StickyKeyPartitioner(nil).ForTopic(blastType)}
}

// run posts until ctx ends, and waits for the last answers.
func (l *blastLoad) run(ctx context.Context) {
	begun, name := time.Now(), 0
	for n := 0; ; n++ {
		partition := n % l.o.Partitions
		var key string
		for { // an entity of its own for each event: their order is not promised
			name++
			key = fmt.Sprintf("b-%d", name)
			if l.place.Partition(&kgo.Record{Key: []byte(key)}, l.o.Partitions) == partition {
				break
			}
		}
		due := begun.Add(time.Duration(n) * time.Second / time.Duration(l.o.Rate))
		if !backoff.SleepUntil(ctx, due) {
			break
		}
		p := l.posters[(n+n/l.o.Partitions)%len(l.posters)]
		l.inFlight.Go(func() { l.post(ctx, p, key, shot{partition: int32(partition), due: due}) })
	}
	l.inFlight.Wait()
}

func (l *blastLoad) post(ctx context.Context, p *poster, key string, s shot) {
	j := singleJob(&Key{Name: key, Entity: key, Type: blastType, Valid: true})
	l.history.begin(j.keys...)
	attempts, _ := p.post(ctx, l.history, j, j.keys)
	s.took = time.Since(s.due)
	switch a := attempts[0]; {
	case a.Receipt != nil:
	case a.Outcome == outcomeNotWritten:
		s.outcome = outcomeNotWritten
	default:
		s.outcome = outcomeUnknown
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shots = append(l.shots, s)
}

// awaitQuiet waits until events are accepted at once for a while: a new Redis has to be
// rebuilt first, and new processes are slow.
func (l *blastLoad) awaitQuiet(ctx context.Context) error {
	const least, limit, quiet = 15 * time.Second, 3 * time.Minute, 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	backoff.Sleep(ctx, least)
	all := func(int32) bool { return true }
	ok := backoff.Poll(ctx, time.Second, func() bool {
		end := time.Now().Add(-time.Second)
		s := l.measure(all, end.Add(-quiet), end)
		return s.events > 0 && s.unknown+s.refused == 0 && s.p99 < blastSlow
	})
	if !ok {
		return fmt.Errorf("wait for service: %w", context.Cause(ctx))
	}
	return nil
}

// settle waits until the events that were due by then have an answer.
func (l *blastLoad) settle(ctx context.Context, by time.Time) {
	backoff.SleepUntil(ctx, by.Add(l.opts.answerLimit()))
}

// blastStats are about the events of some partitions that were due in some time.
type blastStats struct {
	events, unknown, refused int
	p50, p99                 time.Duration // events that were not accepted count as the slowest
}

const blastHeader = "scenario   replica  |  events       p50       p99 before |  events       p50       p99 during | % unknown  % refused  whole after"

func (s blastStats) String() string {
	return fmt.Sprintf("%8d %9v %9v", s.events, s.p50.Round(10*time.Microsecond), s.p99.Round(10*time.Microsecond))
}

func (s blastStats) percent(n int) float64 { return 100 * float64(n) / float64(max(1, s.events)) }

func (l *blastLoad) measure(in func(int32) bool, from, to time.Time) blastStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	var took []time.Duration
	var s blastStats
	for _, shot := range l.shots {
		if !in(shot.partition) || shot.due.Before(from) || !shot.due.Before(to) {
			continue
		}
		switch shot.outcome {
		case "":
			took = append(took, shot.took)
			continue
		case outcomeNotWritten:
			s.refused++
		default:
			s.unknown++
		}
		took = append(took, max(shot.took, l.opts.answerLimit()))
	}
	s.events = len(took)
	if len(took) > 0 {
		slices.Sort(took)
		s.p50, s.p99 = took[len(took)/2], took[len(took)*99/100]
	}
	return s
}

// wholeAfter is how long after the heal the last event was due that was not accepted at
// once. It is not whole if that goes on until the end.
func (l *blastLoad) wholeAfter(in func(int32) bool, healed, end time.Time) (after time.Duration, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.shots {
		if in(s.partition) && s.due.After(healed) && s.due.Before(end) && (s.outcome != "" || s.took > blastSlow) {
			after = max(after, s.due.Sub(healed))
		}
	}
	return after, after < end.Sub(healed)-2*time.Second
}
