package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"eventgateway/internal/app"
	"eventgateway/internal/backoff"
	"eventgateway/internal/config"
	"eventgateway/internal/outbox"
	"eventgateway/internal/preflight"
)

type outboxStatus struct {
	file, format string
	interval     time.Duration
}

func outboxStatusCommand() *cobra.Command {
	s := outboxStatus{}
	cmd := &cobra.Command{
		Use: "status -c FILE", Short: "what waits in each outbox, who relays it, and what stands in the way", Args: atMost(0),
		Long: `Shows for each outbox how many rows wait and for how long, how many were published in
the last second, dead rows, the active relay and, with the reader wal, what the slot
keeps of the write-ahead log. Below the table it says what stands in the way: of the
database, the oldest transaction, for example.

The exit status is 1 if a database cannot be used.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	configFlag(cmd, &s.file, "configuration `FILE`")
	cmd.Flags().DurationVar(&s.interval, "interval", time.Second, "over which the rate is measured, a `DURATION`")
	s.format = formatText
	cmd.Flags().Func("format", "`FORMAT` of the output: text or json; default text", oneOf(&s.format, formatText, formatJSON))
	return cmd
}

// outboxState is what is shown of one outbox.
type outboxState struct {
	Name          string        `json:"name"`
	Waiting       int64         `json:"waiting_rows"`
	WaitingAtMost bool          `json:"waiting_rows_is_a_lower_bound"`
	Oldest        time.Duration `json:"oldest_ns"`
	Rate          float64       `json:"rows_per_second"`
	Published     int64         `json:"published_rows"`
	Dead          int64         `json:"dead_rows"`
	ActivePID     int32         `json:"active_pid"`
	ActiveAddress string        `json:"active_address"`
	RetainedWAL   int64         `json:"retained_wal_bytes"`
	WALStatus     string        `json:"wal_status,omitempty"`
	// Oldest transaction.
	HolderPID   int32         `json:"oldest_transaction_pid,omitempty"`
	HolderAge   time.Duration `json:"oldest_transaction_ns,omitempty"`
	HolderQuery string        `json:"oldest_transaction_query,omitempty"`

	Findings []preflight.Finding `json:"findings"`
	wal      bool
	failed   bool
}

func (s *outboxStatus) run(ctx context.Context, out io.Writer) error {
	if s.file == "" {
		return missingConfig("gateway outbox status -c gateway.yaml")
	}
	if s.interval <= 0 || s.interval > time.Minute {
		return usageError("--interval must be more than 0 and at most 1m")
	}
	cfg, err := loadConfig(s.file, os.Environ())
	if err != nil {
		return err
	}
	if _, err := chooseOutbox(cfg, ""); err != nil && len(cfg.Outbox) == 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, outboxTimeout+s.interval)
	defer cancel()
	states := s.look(ctx, cfg)
	if s.format == formatJSON {
		err = writeJSON(out, states)
	} else {
		err = printOutboxStates(out, states)
	}
	for _, one := range states {
		if one.failed && err == nil {
			err = errReported
		}
	}
	return err
}

// look asks each database twice.
func (s *outboxStatus) look(ctx context.Context, cfg *config.Config) []outboxState {
	before := make([]preflight.OutboxFacts, len(cfg.Outbox))
	for i, o := range cfg.Outbox {
		before[i] = outbox.Inspect(ctx, app.OutboxConfig(cfg, o))
	}
	begun := time.Now()
	backoff.Sleep(ctx, s.interval)
	states := make([]outboxState, len(cfg.Outbox))
	for i, o := range cfg.Outbox {
		now := outbox.Inspect(ctx, app.OutboxConfig(cfg, o))
		states[i] = stateOf(now)
		states[i].Rate = float64(now.Published-before[i].Published) / time.Since(begun).Seconds()
	}
	return states
}

func stateOf(f preflight.OutboxFacts) outboxState {
	state := outboxState{
		Name: f.Name, Waiting: f.Backlog, WaitingAtMost: f.Backlog >= f.CountLimit, Oldest: f.Oldest, Published: f.Published, Dead: f.Dead,
		ActivePID: f.ActivePID, ActiveAddress: f.ActiveAddress, RetainedWAL: f.RetainedWAL, WALStatus: f.WALStatus,
		HolderPID: f.Holder.PID, HolderAge: f.Holder.Age, HolderQuery: f.Holder.Query,
		wal: f.WAL, failed: f.Unreachable != nil || f.Unusable != nil,
	}
	for _, finding := range preflight.Outbox(f) {
		if finding.Severity != preflight.OK {
			state.Findings = append(state.Findings, finding)
		}
	}
	return state
}

func printOutboxStates(out io.Writer, states []outboxState) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OUTBOX\tWAITING\tOLDEST\tROWS/S\tPUBLISHED\tDEAD\tACTIVE\tWAL KEPT")
	for _, s := range states {
		if s.failed {
			fmt.Fprintf(table, "%s\t?\t?\t?\t?\t?\t?\t?\n", s.Name)
			continue
		}
		waiting, active, kept := fmt.Sprint(s.Waiting), "nobody", "–"
		if s.WaitingAtMost {
			waiting += "+"
		}
		if s.ActivePID != 0 {
			active = fmt.Sprintf("pid %d %s", s.ActivePID, s.ActiveAddress)
		}
		if s.wal {
			kept = fmt.Sprintf("%.1f MiB %s", float64(s.RetainedWAL)/(1<<20), s.WALStatus)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%.0f\t%d\t%d\t%s\t%s\n", s.Name, waiting, s.Oldest.Round(time.Millisecond), s.Rate, s.Published, s.Dead, active, kept)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, s := range states {
		if s.HolderAge > time.Second {
			fmt.Fprintf(out, "\n%s: the oldest transaction is that of pid %d, open for %s: %s\n", s.Name, s.HolderPID, s.HolderAge.Round(time.Second), oneLine(s.HolderQuery))
		}
		for _, f := range s.Findings {
			fmt.Fprintf(out, "\n%s: %s\n  do: %s\n", s.Name, oneLine(f.What), oneLine(f.Do))
		}
	}
	return nil
}
