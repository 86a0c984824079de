package cli

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"eventgateway/internal/lag"
)

// lagRow is one line of the table: a topic of a group, or a group that has none.
type lagRow struct {
	group lag.Group
	topic lag.Topic
	state lag.State
}

// lagRows are the lines of a report, what hurts most first.
func lagRows(report *lag.Report) (rows []lagRow) {
	for _, g := range report.Groups {
		if len(g.Topics) == 0 {
			rows = append(rows, lagRow{group: g, state: g.State})
		}
		for _, t := range g.Topics {
			rows = append(rows, lagRow{g, t, t.State})
		}
	}
	slices.SortStableFunc(rows, func(a, b lagRow) int {
		return cmp.Or(cmp.Compare(a.state.Rank(), b.state.Rank()), cmp.Compare(b.topic.Age.D, a.topic.Age.D),
			cmp.Compare(b.topic.Undelivered.N, a.topic.Undelivered.N), cmp.Compare(a.group.Name, b.group.Name))
	})
	return rows
}

func printLag(out io.Writer, report *lag.Report, partitions bool) error {
	if len(report.Groups) == 0 {
		fmt.Fprintln(out, "There is no consumer group, or none that this user may describe and the patterns name.")
	} else if err := printLagTable(out, lagRows(report)); err != nil {
		return err
	}
	if partitions {
		for _, g := range report.Groups {
			if err := printLagPartitions(out, g); err != nil {
				return err
			}
		}
	}
	for _, g := range report.Groups {
		if g.Error != "" {
			fmt.Fprintf(out, "\n%s: %s\n", cell(g.Name), cell(g.Error))
		}
	}
	for _, text := range report.Unanswered {
		fmt.Fprintf(out, "\nnot all groups are here: %s\n", cell(text))
	}
	if report.Unread > 0 {
		fmt.Fprintf(out, "\nThe age of what waits was not read in %d partitions: there are too many for one look.\n", report.Unread)
	}
	return nil
}

func printLagTable(out io.Writer, rows []lagRow) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "GROUP\tTOPIC\tSTATE\tRECORDS\tWAITING\tBEHIND\tTREND\tUSED\tMEMBERS")
	for _, r := range rows {
		topic := cell(r.topic.Name)
		if topic == "" {
			topic = "–"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cell(r.group.Name), topic, lagState(r),
			countText(r.topic.Records), countText(r.topic.Undelivered), ageText(r.topic.Age), trendText(r.topic),
			usedText(r.topic.Retention), countText(r.group.Members))
	}
	return table.Flush()
}

func printLagPartitions(out io.Writer, g lag.Group) error {
	fmt.Fprintf(out, "\n%s (%s, %s)\n", cell(g.Name), g.Type, g.Kafka)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "PARTITION\tSTATE\tCOMMITTED\tLOG BEGINS\tEND\tRECORDS\tWAITING\tBEHIND\t\tMEMBER")
	for _, t := range g.Topics {
		most := int64(0)
		for _, p := range t.Partitions {
			most = max(most, p.Undelivered.N)
		}
		for _, p := range t.Partitions {
			fmt.Fprintf(table, "%s[%d]\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cell(t.Name), p.Number, stateName(p.State),
				countText(p.Committed), countText(p.Start), countText(p.End), countText(p.Records), countText(p.Undelivered), ageText(p.Age),
				lagBar(p.Undelivered.N, most), cell(p.Host))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, t := range g.Topics {
		for _, p := range t.Partitions {
			if p.Error != "" {
				fmt.Fprintf(out, "  %s[%d]: %s\n", cell(t.Name), p.Number, cell(p.Error))
			}
		}
	}
	return nil
}

func stateName(s lag.State) string { return strings.ReplaceAll(string(s), "_", " ") }

func lagState(r lagRow) string {
	text := stateName(r.state)
	if r.topic.Lost > 0 {
		text += fmt.Sprintf(" (%d)", r.topic.Lost)
	}
	return text
}

func countText(c lag.Count) string {
	if !c.Known {
		return "?"
	}
	return fmt.Sprint(c.N)
}

// ageText has two units at most: 3d4h, 12m5s, 340ms.
func ageText(a lag.Age) string {
	switch d := a.D; {
	case !a.Known:
		return "?"
	case d == 0:
		return "0s"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return wholeMinutes(d.Round(time.Second))
	case d < 48*time.Hour:
		return wholeMinutes(d.Round(time.Minute))
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}

// wholeMinutes leaves out seconds that are 0.
func wholeMinutes(d time.Duration) string {
	if text, ok := strings.CutSuffix(d.String(), "m0s"); ok {
		return text + "m"
	}
	return d.String()
}

func usedText(r *lag.Ratio) string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%.0f%%", math.Min(float64(*r)*100, 999))
}

var sparks = []rune("▁▂▃▄▅▆▇█")

// trendText draws what waited in the last passes, or says what changes in a second.
func trendText(t lag.Topic) string {
	var text strings.Builder
	if len(t.History) > 2 {
		least, most := slices.Min(t.History), slices.Max(t.History)
		for _, v := range t.History {
			at := 0
			if most > least {
				at = int(float64(v-least) / float64(most-least) * float64(len(sparks)-1))
			}
			text.WriteRune(sparks[at])
		}
		text.WriteByte(' ')
	}
	switch c := t.Change; {
	case c == nil:
	case math.Abs(*c) < 0.05:
		text.WriteString("=")
	case math.Abs(*c) < 10:
		fmt.Fprintf(&text, "%+.1f/s", *c)
	default:
		fmt.Fprintf(&text, "%+.0f/s", *c)
	}
	return text.String()
}

const lagBarWidth = 10

// lagBar shows a partition's part of what waits: one that is far beyond the others stands
// out.
func lagBar(n, most int64) string {
	if most == 0 || n <= 0 {
		return ""
	}
	return strings.Repeat("█", max(1, int(float64(n)/float64(most)*lagBarWidth)))
}

// cell is a name on one line, in which nothing can deceive a terminal: names of groups may
// have any characters.
func cell(text string) string { return printable(oneLine(text)) }
