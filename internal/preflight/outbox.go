package preflight

import (
	"fmt"
	"strings"
	"time"
)

const (
	// oldHolder is from when on a transaction is worth a warning: what it keeps makes every
	// look into the table slower.
	oldHolder = 10 * time.Minute
	// oldRow is from when on a row that waits is worth a warning.
	oldRow = time.Minute
	// muchWAL is from when on what a slot keeps is worth a warning.
	muchWAL = 1 << 30
	// synchronizedSince is the first version with failover slots.
	synchronizedSince = 170000
)

// Outbox compares an outbox and its database with what its relay needs.
func Outbox(f OutboxFacts) []Finding {
	j := outboxJudge{facts: f}
	switch {
	case f.Unreachable != nil:
		j.add(Error, "outbox.connect", "the database cannot be used: "+f.Unreachable.Error(), "correct dsn, or start the database; rows wait in it meanwhile")
		return j.list
	case f.Unusable != nil:
		j.add(Error, "outbox.table", f.Unusable.Error(), "gateway outbox schema prints what the gateway needs")
		return j.list
	}
	j.tables()
	j.numbers()
	j.waiting()
	if f.WAL {
		j.log()
	} else if !f.Trigger {
		j.add(Warning, "outbox.trigger", "there is no trigger that wakes the relay, which asks ten times a second instead", "create it: gateway outbox schema prints it")
	}
	for _, err := range f.Failed {
		j.add(Warning, "outbox.look", err.Error(), "grant what is missing; the relay may work without")
	}
	if len(j.list) == 0 {
		j.list = append(j.list, Finding{Severity: OK, Check: "outbox.table", Subject: f.Name, What: fmt.Sprintf("table %s on PostgreSQL %s, %s waiting", f.Table, f.Version, f.rows(f.Backlog))})
	}
	return j.list
}

type outboxJudge struct {
	facts OutboxFacts
	list  []Finding
}

func (j *outboxJudge) add(s Severity, check, what, do string) {
	j.list = append(j.list, Finding{Severity: s, Check: check, Subject: j.facts.Name, What: what, Do: do})
}

// rows is a number of rows that may have been counted only up to a limit.
func (f *OutboxFacts) rows(n int64) string {
	if n >= f.CountLimit && f.CountLimit > 0 {
		return fmt.Sprintf("%d rows or more", n)
	}
	return count(int(n), "row")
}

func (j *outboxJudge) tables() {
	f := j.facts
	if len(f.MissingTables) > 0 {
		j.add(Error, "outbox.table", "there is no "+strings.Join(f.MissingTables, ", no ")+": nothing is relayed", "create it: gateway outbox schema prints it")
	}
	if len(f.MissingGrants) > 0 {
		j.add(Error, "outbox.grants", "the user may not "+strings.Join(f.MissingGrants, ", ")+": nothing is relayed", "GRANT "+strings.Join(f.MissingGrants, ", ")+" TO its role")
	}
}

func (j *outboxJudge) numbers() {
	if c := j.facts.SequenceCache; c > 1 {
		j.add(Error, "outbox.sequence", fmt.Sprintf("each connection takes %d numbers of rows at once, so rows are not in the order of their transactions", c), "ALTER the column's identity: SET CACHE 1")
	}
}

func (j *outboxJudge) waiting() {
	f := j.facts
	if f.Oldest > oldRow {
		what, do := fmt.Sprintf("the oldest of %s has waited for %s", f.rows(f.Backlog), span(f.Oldest.Round(time.Second))), "gateway outbox status and the log of the active relay say why"
		if f.ActivePID == 0 {
			what, do = what+", and no relay is active", "start gateway serve or gateway outbox run with this outbox"
		}
		j.add(Warning, "outbox.backlog", what, do)
	}
	if f.Dead > 0 {
		j.add(Warning, "outbox.dead", f.rows(f.Dead)+" can never be published as they are", "gateway outbox dead list")
	}
	if h := f.Holder; h.Age > oldHolder {
		j.add(Warning, "outbox.holder", fmt.Sprintf("a transaction of %s (pid %d, %s) has been open for %s: deleted rows cannot be removed until it ends, and looks into the table take longer and longer; its last query: %s",
			h.User, h.PID, h.State, span(h.Age.Round(time.Second)), h.Query), fmt.Sprintf("end it, if need be with SELECT pg_terminate_backend(%d)", h.PID))
	}
}

// log judges what following the write-ahead log needs.
func (j *outboxJudge) log() {
	f := j.facts
	if f.WALLevel != "logical" {
		j.add(Error, "outbox.wal", "wal_level is "+f.WALLevel, "set wal_level = logical and restart the database, or write read: poll")
	}
	if !f.MayReplicate {
		j.add(Error, "outbox.grants", "the user may not follow the write-ahead log", "ALTER ROLE … REPLICATION, and let it in for replication in pg_hba.conf")
	}
	if f.PublicationProblem != nil {
		j.add(Error, "outbox.publication", f.PublicationProblem.Error(), "run that statement as the owner of the table")
	}
	if f.MaxSlotWALKeepSize == "-1" {
		j.add(Warning, "outbox.slot", "max_slot_wal_keep_size is -1: while no relay runs, the slot keeps the write-ahead log until the disk is full",
			"set it, to a tenth of the disk for example: a slot that is lost is replaced, and no row is lost with it")
	}
	switch {
	case f.SlotExists && f.WALStatus == "lost":
		j.add(Warning, "outbox.slot", "the slot has lost its log", "nothing: the relay replaces it and reads the rows from the table")
	case f.RetainedWAL > muchWAL:
		j.add(Warning, "outbox.slot", "the slot keeps "+bytesText(f.RetainedWAL)+" of the write-ahead log", "see why rows are not published; if no relay uses it any more, SELECT pg_drop_replication_slot('"+f.Slot+"')")
	}
	if f.VersionNumber >= synchronizedSince && f.SynchronizedStandbySlots == "" && f.SynchronousStandbys == "" {
		j.add(Warning, "outbox.failover", "neither synchronized_standby_slots nor synchronous_standby_names is set: a row may be published that a standby does not have when it is promoted", "set one of them, if there are standbys")
	}
}
