package model

const (
	gateways      = 2
	maxPartitions = 2
	maxAttempts   = 4 // three of the run, one of the progress check
	probe         = maxAttempts - 1
)

// Phases of an attempt.
const (
	idle       uint8 = iota
	begun            // accepted, about to send its claim
	looked           // has seen a good marker; only when looking first
	fencing          // a taker, about to fence the owner's id
	reading          // a taker, about to complete its recovery read
	takingOver       // a taker, about to compare-and-set
	renewing         // a taker, about to renew its lease
	owning           // holds the claim, about to publish its record
	waiting          // for the acknowledgement, or the commit
	hearing          // its script has given it the claim; the reply is under way
	done             // answered, or its gateway crashed
)

// Where an attempt's record is.
const (
	nowhere   uint8 = iota // not produced, refused, dropped or aborted
	inFlight               // published, may reach the log
	late                   // in flight, but its transaction was aborted without it
	appended               // in the leader's log: above the high watermark, or in an open transaction
	committed              // consumers see it, for good
)

// Leases by Redis' clock.
const (
	noLease uint8 = iota // none, or nobody can ask about it any more
	leaseRunning
	leaseEnded
)

// Answers to the client.
const (
	noAnswer uint8 = iota
	accepted       // 202
	notWritten
	unknown
)

// Settlements queued behind an answer.
const (
	noSettlement uint8 = iota
	settle
	markUnknown
	release
)

// Scripts given up by the gateway that may still reach Redis.
const (
	notDelayed uint8 = iota
	delayedClaim
	delayedTakeOver
)

// Claim record states.
const (
	absent uint8 = iota
	claimed
	markedUnknown
	settled
)

// A claim is the record in Redis. Compared whole, it is its text.
type claim struct {
	state   uint8
	token   uint8
	attempt uint8                // whose lease it is
	owner   uint8                // producer: see ownerOf
	from    [maxPartitions]uint8 // the log's ends at the time of the first claim
	parts   uint8                // set of partitions
	term    uint8                // which of the attempt's leases: its end is in the text
	at      uint8                // settled: the attempt whose record it is
	run     uint8                // measured: the Redis process by whose clock the lease runs
	order   uint8                // measured: which of two claims of a key is the later one
}

func (c claim) held() bool { return c.state == claimed || c.state == markedUnknown }

// A redis is the data that a failover or a flush can lose.
type redis struct {
	claim  claim
	marker uint8 // 0 is none, else replication id + 1
	lock   uint8 // 0 is none, else the rebuilding gateway + 1
	ready  readiness
	early  early
}

// An attempt is one request of the client.
type attempt struct {
	phase       uint8
	token       uint8 // of its claim, later of its take-over
	gateway     uint8
	inc         uint8 // the gateway's producer when it was accepted
	part        uint8
	from        [maxPartitions]uint8 // the log's ends when it was accepted
	record      uint8
	lease       uint8 // its latest
	terms       uint8 // leases it has had
	answer, at  uint8 // at: the attempt whose record the receipt names
	settlement  uint8
	settleToken uint8
	settleAt    uint8
	delayed     uint8
	readDone    uint8
	tookOver    uint8 // its compare-and-set went through
	found       claim // as a taker first read it
	readEnd     [maxPartitions]uint8
	// Measured only.
	parts   uint8 // of its claim
	order   uint8 // of its claim
	gen     uint8 // the generation of a script that may run later
	void    uint8 // the reply under way is worthless
	crashed uint8 // its gateway died, and nobody re-asserts its claim
}

// Log entries above the attempts' own, which are attempt + 1.
const (
	other  = 6 // another client's record
	filler = 7 // an aborted record or a closed transaction
)

const maxLog = 6

type partition struct {
	entry     [maxLog]uint8
	end       uint8
	watermark uint8
}

// States of the other client's record.
const (
	noTraffic uint8 = iota
	trafficSent
	trafficAppended // in transactional mode: its transaction is open
	trafficAcked    // in transactional mode: its transaction ended
)

type traffic struct {
	state uint8
	after uint8 // what had ended when it was sent: attempts' leases, and waits of rebuilds
}

// A gateway has one producer at a time, numbered inc; those from base on belong
// to the current process. The masks are over inc.
type gateway struct {
	inc, base               uint8
	fenced, open, finishing uint8 // open: transaction ongoing; finishing: commit request sent
}

// Phases of a rebuild.
const (
	rebuildIdle uint8 = iota
	rebuildLocked
	rebuildListed // transactional: ids listed in Kafka
	rebuildReading
	rebuildWriting
	rebuildMarking
)

type rebuild struct {
	phase  uint8
	replid uint8
	leases uint8           // attempts whose leases ran when it began
	listed [gateways]uint8 // masks of ids
	end    [maxPartitions]uint8
	found  uint8 // attempt + 1
	// Measured only.
	gen    uint8
	list   uint8                // processes that were registered
	from   [maxPartitions]uint8 // where the read begins
	silent uint8                // somebody was waited for, or fenced
}

// State is one state of the whole system: comparable, without pointers.
type State struct {
	att     [maxAttempts]attempt
	redis   redis
	replica redis
	stalled uint8 // the replica gets no more writes
	replid  uint8
	log     [maxPartitions]partition
	traffic traffic
	gw      [gateways]gateway
	rebuild [gateways]rebuild
	faults  uint8
	loss    lossState
}

func initial() State {
	var s State
	s.redis.marker = 1
	return s
}

// start is the state in which a run begins.
func (c *Config) start() State {
	s := initial()
	if c.Measured {
		s.measured()
	}
	return s
}

func (s *State) markerGood() bool { return s.redis.marker == s.replid+1 }

// ownerOf names producer inc of gateway g; 0 is nobody.
func ownerOf(g, inc uint8) uint8 { return (g<<3 | inc) + 1 }

func ownerGateway(owner uint8) (g, inc uint8) { return (owner - 1) >> 3, (owner - 1) & 7 }
