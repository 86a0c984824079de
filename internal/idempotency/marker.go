package idempotency

import (
	"strconv"
	"strings"
	"time"

	"eventgateway/internal/event"
)

// What Redis stores for each bucket, beside its claims (docs/adr/0021):
//
//	marker  <generation> <master_replid> <run_id> <stream>
//	lock    <token> <master_replid>[ <generation> ,<process id>,…]
//
// The marker says which Redis, and which generation, the bucket's claims belong to. The
// lock is that of a rebuild; once it has raised the generation, it names that and the
// gateways that have joined it. And for one bucket of each server:
//
//	beat    <number> <gateway's clock, ms> <Redis' clock, ms> <master_replid> <stream>
//
// Everything that came before the beat in the server's stream of writes is there if the
// beat is. The stream is the id of a Cluster's node; "-" elsewhere.

// identity is who a Redis server is.
type identity struct {
	replid string // master_replid
	former string // master_replid2: of the master that this one was a replica of; "" if it never was, or not lately
	run    string // run_id: of the process; "-" if it is not shown
	stream string
}

// marker is a parsed one.
type marker struct {
	generation          uint64
	replid, run, stream string
}

func parseMarker(text string) (m marker, ok bool) {
	f := strings.Split(text, " ")
	if len(f) != 4 {
		return marker{}, false // of another format, which names no generation
	}
	n, err := strconv.ParseUint(f[0], 10, 64)
	return marker{n, f[1], f[2], f[3]}, err == nil
}

// beat is a parsed one.
type beat struct {
	number uint64
	clock  time.Time // of the gateway that wrote it
	stream string
}

func parseBeat(text string) (b beat, ok bool) {
	f := strings.Split(text, " ")
	if len(f) != 5 {
		return beat{}, false
	}
	number, err := strconv.ParseUint(f[0], 10, 64)
	if err != nil {
		return beat{}, false
	}
	ms, err := strconv.ParseInt(f[1], 10, 64)
	return beat{number, time.UnixMilli(ms), f[4]}, err == nil
}

// facts are what Redis has of one bucket.
type facts struct {
	marker, lock string // as stored; "" is none
	beat         string
	server       identity
}

func parseFacts(text string) (f facts, ok bool) {
	l := strings.Split(text, "\n")
	if len(l) != 7 {
		return facts{}, false
	}
	f = facts{marker: l[0], lock: l[1], beat: l[2], server: identity{replid: l[3], former: l[4], run: l[5], stream: l[6]}}
	if strings.Trim(f.server.former, "0") == "" {
		f.server.former = ""
	}
	return f, f.server.replid != ""
}

// snapshot is what Redis has of all buckets that could be asked.
type snapshot map[byte]facts

// beatOf is the newest beat that survived on the bucket's server and speaks of the stream
// of writes that its marker names.
func (s snapshot) beatOf(bucket byte) (newest beat, ok bool) {
	about := s[bucket]
	m, known := parseMarker(about.marker)
	if !known {
		return beat{}, false
	}
	for _, f := range s {
		b, is := parseBeat(f.beat)
		if is && f.server == about.server && b.stream == m.stream && (!ok || b.number > newest.number) {
			newest, ok = b, true
		}
	}
	return newest, ok
}

// missingSince is the time, by gateways' clocks, since which claims of the bucket may be
// missing. It is false if any may be. next tells which generation followed another.
func (s snapshot) missingSince(bucket byte, newest uint64, next func(uint64) (event.Generation, bool)) (time.Time, bool) {
	f := s[bucket]
	m, known := parseMarker(f.marker)
	b, beating := s.beatOf(bucket)
	switch {
	case !known, !beating, m.generation == 0, m.generation > newest:
		return time.Time{}, false
	case m.stream != f.server.stream && m.replid != f.server.former:
		return time.Time{}, false // the bucket was moved, key by key
	}
	from := b.clock
	if m.generation < newest {
		after, ok := next(m.generation)
		if !ok {
			return time.Time{}, false
		}
		if after.Raised.Before(from) { // the beat may be of an old master that had a successor
			from = after.Raised
		}
	}
	return from.Add(-clockDifference), true
}

// unchanged reports whether nothing was lost although the bucket's marker names another
// replication id: the process is the same, has not been a replica since, and this gateway
// saw the old id right a moment ago (seen).
func (f facts) unchanged(generation uint64, seen lastSeen, now time.Time) bool {
	m, known := parseMarker(f.marker)
	return known && f.lock == "" && m.generation == generation &&
		m.run == f.server.run && f.server.run != noRunID && m.stream == f.server.stream && f.server.former == "" &&
		m.replid == seen.replid && now.Sub(seen.at) < seenLately
}

const (
	// seenLately stands for "less than any repl-backlog-ttl": when a backlog ends, so does
	// the trace of a failover and back.
	seenLately = 10 * time.Second
	noRunID    = "-"
)

// lastSeen is when this gateway last saw a bucket's marker right, and with which id.
type lastSeen struct {
	replid string
	at     time.Time // before Redis was asked
}
