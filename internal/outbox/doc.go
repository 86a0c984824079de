// Package outbox relays the rows of outbox tables in PostgreSQL to Kafka, through the
// door of internal/ingest: what a transaction committed is published once, and what it
// rolled back never is.
//
// A row's way:
//
//		reader (poll.go, wal.go) → backlog → ingest.Door.Relay → writer → deleted, its claim expires soon
//
//	  - relay.go keeps one session at a time: it takes the lock of the outbox, or waits for it
//	    as a standby. session.go runs the session's parts until one of them fails, and
//	    everything in memory is given up with it;
//	  - backlog.go holds the rows that were read, in order, and those that wait for another
//	    try; rows of an entity wait behind it;
//	  - publish.go takes rows through the door; writer.go deletes those that are published, and
//	    expire.go makes their claims expire;
//	  - state.go keeps what must outlive a session: how far rows may have been tried, since
//	    when, and for which claims and which history of the database that holds.
//
// Invariants:
//   - a row that is in the table is to be published, one that is not never is: there is no
//     cursor that could pass a row;
//   - a row is published only if it was in the table after its claim was held;
//   - a row's claim is made to expire soon only after its deletion has been committed. It is
//     settled only if the session ends before;
//   - rows are tried only after the state says so; what an earlier session may have tried is
//     looked for in Kafka before it is claimed, unless all claims of that time must still
//     be there.
//
// docs/guarantees.md says why that is exactly once, docs/adr/0026 how it came about.
//
// It is the only user of pgx and pglogrepl. Of the gateway's packages it imports only
// internal/backoff, internal/event, internal/failpoint, internal/ingest and, for the facts that Inspect
// returns, internal/preflight.
package outbox
