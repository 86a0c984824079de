package failpoint

// The failpoints, in the order in which an event passes them.
const (
	Claimed    = "claimed"    // the claim is made, and nothing is handed to Kafka's client
	Publishing = "publishing" // the clock was checked for the last time, and the record is not handed to the producer yet
	Handed     = "handed"     // the record is in Kafka's client
	Acked      = "acked"      // the record is acknowledged
	Committing = "committing" // just before the transaction's commit
	Committed  = "committed"  // the commit has returned, and no caller has been answered
	Settling   = "settling"   // just before the claims are settled
	Settled    = "settled"    // just after it
	Releasing  = "releasing"  // just before a claim is deleted
	Fenced     = "fenced"     // the owner's producer is fenced, and still owns the claim
	Recovered  = "recovered"  // the recovery read is done, and the claim is not taken over yet
	TakenOver  = "taken-over" // the claim is taken over, and nothing else was done
	Rebuilding = "rebuilding" // between two batches of rebuilt claims
)

// Points returns the names of all failpoints.
func Points() []string {
	return []string{
		Claimed, Publishing, Handed, Acked, Committing, Committed, Settling, Settled, Releasing, Fenced, Recovered, TakenOver, Rebuilding,
		Noted, Confirmed, Deleting, Deleted,
	}
}

// The failpoints of an outbox's relay, in the order in which a row passes them. Those of
// events are passed between Confirmed and Deleting.
const (
	Noted     = "noted"     // the state says that the rows are tried, and none of them is claimed
	Confirmed = "confirmed" // the rows are claimed and were in the table, and none is published
	Deleting  = "deleting"  // just before published rows are deleted
	Deleted   = "deleted"   // their deletion is committed, and their claims still live for the whole window
)

// OutboxPoints returns the names of the failpoints that only relays pass.
func OutboxPoints() []string { return []string{Noted, Confirmed, Deleting, Deleted} }
