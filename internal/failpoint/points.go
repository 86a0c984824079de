package failpoint

// The points, in the order in which an event passes them.
const (
	Claimed    = "claimed"    // the claim stands, nothing is handed to Kafka's client
	Publishing = "publishing" // after the last look at the clock, before the record is given to the producer
	Handed     = "handed"     // the record is in Kafka's client
	Acked      = "acked"      // the record is acknowledged
	Committing = "committing" // just before the transaction's commit
	Committed  = "committed"  // the commit has returned, nobody has been told
	Settling   = "settling"   // just before the claims are settled
	Settled    = "settled"    // just after it
	Releasing  = "releasing"  // just before a claim is dropped
	Fenced     = "fenced"     // the owner's producer is fenced, the claim is still its own
	Recovered  = "recovered"  // the recovery read is done, the claim is not taken yet
	TakenOver  = "taken-over" // the claim is taken, nothing is done with it
	Rebuilding = "rebuilding" // between two batches of rebuilt claims
)

// Points returns the names of all points.
func Points() []string {
	return []string{
		Claimed, Publishing, Handed, Acked, Committing, Committed, Settling, Settled, Releasing, Fenced, Recovered, TakenOver, Rebuilding,
	}
}
