package preflight

import "time"

// RedisFacts is what was found out about the Redis of the claims.
type RedisFacts struct {
	Topology  RedisTopology
	Addresses []RedisAddress // of redis.addresses: servers or sentinels
	// NoMasters says why no server that holds claims is known; nil if some is.
	NoMasters *Failure
	Masters   []RedisMaster // more than one in a Cluster
	Claims    RedisClaims
}

// RedisTopology is what redis.addresses is configured as.
type RedisTopology string

// The topologies.
const (
	RedisSingle   RedisTopology = "single"
	RedisSentinel RedisTopology = "sentinel"
	RedisCluster  RedisTopology = "cluster"
)

// What a server reports about itself (redis_mode in INFO).
const (
	ModeStandalone = "standalone"
	ModeSentinel   = "sentinel"
	ModeCluster    = "cluster"
)

// RedisAddress is the answer of one configured address.
type RedisAddress struct {
	Address string
	Failure *Failure // nil: it answers
	Mode    string   // "" if it does not report it
	Master  string   // of a sentinel: where the master is; "" if it knows none
}

// Failure is why something could not be asked.
type Failure struct {
	Kind FailureKind
	Text string // the error; holds no secret
}

// FailureKind sorts failures by how they are fixed.
type FailureKind string

// The kinds of failures.
const (
	FailedRefused     FailureKind = "refused"        // nothing listens
	FailedName        FailureKind = "name"           // the host name is not known
	FailedTimeout     FailureKind = "timeout"        // no answer
	FailedNoPassword  FailureKind = "no-password"    // it wants one
	FailedPassword    FailureKind = "wrong-password" // or user name
	FailedCertificate FailureKind = "certificate"    // its own is not trusted
	FailedNoTLS       FailureKind = "no-tls"         // it speaks plain text
	FailedClosed      FailureKind = "closed"         // it hung up: it may want TLS, or a client certificate
	FailedClientCert  FailureKind = "no-client-cert" // it refuses this client's certificate, or the lack of one
	FailedPermission  FailureKind = "permission"     // the user may not ask
	FailedLoading     FailureKind = "loading"        // it reads its data from disk
	FailedFull        FailureKind = "max-clients"    // it takes no more connections
	FailedSaving      FailureKind = "saving"         // MISCONF: it could not save, and serves nothing
	FailedOther       FailureKind = "other"
)

// RedisMaster is one server that holds claims. InfoKnown and ConfigKnown say which facts
// the server, or a proxy in front of it, lets this user read.
type RedisMaster struct {
	Address string
	Buckets int      // of claims that live there, of RedisClaims.Buckets
	Failure *Failure // nothing below is known
	// RoundTrip is the shortest of a few round trips.
	RoundTrip time.Duration
	// Ahead is how far its clock is ahead of the gateway's, to within half a
	// round trip; nil if this user may not read it.
	Ahead *time.Duration

	InfoKnown bool
	Version   string
	Product   string // for example "Valkey 9.1.2", with the Version of Redis that it replaces; "": Redis
	Replica   bool   // it follows another server
	Replicas  int    // connected
	Memory    RedisMemory
	AOF       bool
	// ExpiringKeys are claims, unless others share this Redis.
	ExpiringKeys int64

	ConfigKnown       bool // CONFIG GET is allowed: it is not on most hosted services
	AppendFsync       string
	Save              string // the schedule of snapshots; "" for none
	MinReplicas       int    // min-replicas-to-write
	MinReplicasMaxLag time.Duration

	// Denied are the commands that the gateway's scripts need and its user may
	// not run, as an ACL rule names them.
	Denied     []string
	KeysDenied bool // the user may not use keys that begin with gw:
	// Lacks is why no gateway can keep claims there; "" if it can.
	Lacks string
	// Refused is why the server takes no writes now; "" if it does.
	Refused string
}

// RedisMemory is the memory of a server, in bytes.
type RedisMemory struct {
	Used    int64
	Max     int64 // 0: no limit
	System  int64 // of the machine; 0 if not known
	Policy  string
	Evicted int64 // keys, since the server was started
}

// RedisClaims counts the markers, which say whether a bucket's claims are complete.
type RedisClaims struct {
	Failure *Failure // nil: all were asked
	Buckets int      // in all
	Ready   int
	Missing int // without a marker: Redis is new, or was emptied
	Foreign int // with the marker of another Redis: restarted or promoted since
}

// RedisNeeds is what the gateway's configuration needs of Redis.
type RedisNeeds struct {
	TTL   time.Duration // how long a key is remembered
	Lease time.Duration // how long a claim is held
	// ClockSlack is by how much Redis' clock may jump: the lease, less the delivery
	// timeout, less the margin between the two.
	ClockSlack time.Duration
	// ExpectedRate is how many keyed events a second are expected; 0 if it is not known.
	ExpectedRate  float64
	Transactional bool
	File          string // the configuration file, for commands to copy
}
