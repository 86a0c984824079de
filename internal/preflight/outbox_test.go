package preflight

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func goodOutbox() OutboxFacts {
	return OutboxFacts{
		Name: "shop", Table: "outbox", WAL: true, Slot: "gateway_shop", Version: "15.14", VersionNumber: 150014, WALLevel: "logical", MaxSlotWALKeepSize: "10GB",
		Trigger: true, SequenceCache: 1, MayReplicate: true, CountLimit: 100, ActivePID: 17, SlotExists: true, WALStatus: "reserved",
	}
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	require.Equal(t, []Finding{{Severity: OK, Check: "outbox.table", Subject: "shop", What: "table outbox on PostgreSQL 15.14, 0 rows waiting"}}, Outbox(goodOutbox()))
	for name, c := range map[string]struct {
		change   func(*OutboxFacts)
		severity Severity
		check    string
		says     string
	}{
		"away":              {func(f *OutboxFacts) { f.Unreachable = errors.New("refused") }, Error, "outbox.connect", "refused"},
		"no table":          {func(f *OutboxFacts) { f.Unusable = errors.New("no table") }, Error, "outbox.table", "no table"},
		"no dead table":     {func(f *OutboxFacts) { f.MissingTables = []string{`"outbox_dead"`} }, Error, "outbox.table", "outbox_dead"},
		"a grant":           {func(f *OutboxFacts) { f.MissingGrants = []string{"DELETE ON outbox"} }, Error, "outbox.grants", "DELETE ON outbox"},
		"cached numbers":    {func(f *OutboxFacts) { f.SequenceCache = 32 }, Error, "outbox.sequence", "32 numbers"},
		"old row":           {func(f *OutboxFacts) { f.Oldest, f.Backlog = time.Hour, 100 }, Warning, "outbox.backlog", "100 rows or more has waited for 1h"},
		"nobody active":     {func(f *OutboxFacts) { f.Oldest, f.Backlog, f.ActivePID = time.Hour, 1, 0 }, Warning, "outbox.backlog", "no relay is active"},
		"dead rows":         {func(f *OutboxFacts) { f.Dead = 1 }, Warning, "outbox.dead", "1 row can never"},
		"old transaction":   {func(f *OutboxFacts) { f.Holder = OutboxHolder{PID: 5, Age: time.Hour, Query: "SELECT 1"} }, Warning, "outbox.holder", "pid 5"},
		"wal_level":         {func(f *OutboxFacts) { f.WALLevel = "replica" }, Error, "outbox.wal", "replica"},
		"no replication":    {func(f *OutboxFacts) { f.MayReplicate = false }, Error, "outbox.grants", "write-ahead log"},
		"publication":       {func(f *OutboxFacts) { f.PublicationProblem = errors.New("CREATE PUBLICATION x") }, Error, "outbox.publication", "CREATE PUBLICATION"},
		"slot without end":  {func(f *OutboxFacts) { f.MaxSlotWALKeepSize = "-1" }, Warning, "outbox.slot", "max_slot_wal_keep_size"},
		"lost slot":         {func(f *OutboxFacts) { f.WALStatus = "lost" }, Warning, "outbox.slot", "lost"},
		"much kept":         {func(f *OutboxFacts) { f.RetainedWAL = 5 << 30 }, Warning, "outbox.slot", "5.0 GiB"},
		"failover":          {func(f *OutboxFacts) { f.VersionNumber = 170000 }, Warning, "outbox.failover", "synchronized_standby_slots"},
		"no trigger":        {func(f *OutboxFacts) { f.WAL, f.Trigger = false, false }, Warning, "outbox.trigger", "ten times"},
		"a question failed": {func(f *OutboxFacts) { f.Failed = []error{errors.New("denied")} }, Warning, "outbox.look", "denied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := goodOutbox()
			c.change(&f)
			list := Outbox(f)
			require.Len(t, list, 1)
			require.Equal(t, c.severity, list[0].Severity)
			require.Equal(t, c.check, list[0].Check)
			require.Contains(t, list[0].What, c.says)
			require.NotEmpty(t, list[0].Do)
		})
	}
}
