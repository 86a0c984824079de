package report

import (
	"fmt"
	"io"
	"strings"
)

// Block is scenarios, the cells of a table, that have the same base in the same rounds.
type Block struct {
	Name  string     `json:"name"` // what the cells have in common
	Cells []Scenario `json:"cells"`
}

// Without returns the block with a problem for figures.
func (b Block) Without(problem string) Block {
	for i := range b.Cells {
		c := &b.Cells[i]
		c.Base, c.Candidate, c.Problem, c.NotPossible = nil, nil, problem, false
	}
	return b
}

// markdownColumn is a column of the table of cells.
type markdownColumn struct {
	title  string
	metric string
	scale  float64 // of the metric
	ratio  bool    // show the ratio to the base, too
}

var markdownColumns = []markdownColumn{
	{"events/s", Throughput, 1, true},
	{"p50, ms", LatencyP50, 1e-3, true},
	{"p99, ms", LatencyP99, 1e-3, true},
	{"CPU, µs/event", CPUPerEvent, 1, true},
	{"threads", Threads, 1, false},
	{"to Kafka", KafkaConnections, 1, false},
	{"to Redis", RedisConnections, 1, false},
	{"memory, MiB", ResidentPeak, 1, false},
}

// WriteBlocks writes a Markdown table: a row for the floor of each block, and one for each
// of its cells. Errors of w are its owner's.
func WriteBlocks(w io.Writer, blocks []Block) {
	titles := []string{"cell"}
	for _, c := range markdownColumns {
		titles = append(titles, c.title)
	}
	writeRow(w, titles)
	writeRow(w, strings.Split(strings.Repeat("---,", len(titles)-1)+"---", ","))
	for _, b := range blocks {
		floor := []string{"floor: " + b.Name}
		for _, c := range markdownColumns {
			base, _, _ := b.Cells[0].Compare(MetricNamed(c.metric))
			floor = append(floor, figure(base.Median*c.scale))
		}
		writeRow(w, floor)
		for _, sc := range b.Cells {
			writeRow(w, cellRow(sc))
		}
	}
}

func cellRow(sc Scenario) []string {
	row := []string{"`" + sc.Name + "`"}
	if sc.Problem != "" {
		word := "failed: "
		if sc.NotPossible {
			word = "not possible: "
		}
		row = append(row, word+oneLine(sc.Problem))
		return append(row, make([]string, len(markdownColumns)-1)...)
	}
	for _, c := range markdownColumns {
		_, candidate, ratio := sc.Compare(MetricNamed(c.metric))
		text := figure(candidate.Median * c.scale)
		if c.ratio {
			text += fmt.Sprintf("; **%.2f** (%.2f..%.2f)", ratio.Median, ratio.Min, ratio.Max)
		}
		row = append(row, text)
	}
	return row
}

// WriteVerdicts writes a Markdown table of targets.
func WriteVerdicts(w io.Writer, verdicts []Verdict) {
	if len(verdicts) == 0 {
		return
	}
	writeRow(w, []string{"check", "target", "figure", ""})
	writeRow(w, []string{"---", "---", "---", "---"})
	for _, v := range verdicts {
		word := "**miss**"
		if v.Pass {
			word = "pass"
		}
		value := "none"
		if v.Value != 0 {
			value = fmt.Sprintf("%.2f", v.Value)
		}
		writeRow(w, []string{v.Name, fmt.Sprintf("%s %g", v.Bound, v.Limit), value, word})
	}
}

// GeneratorBound names the cells in which the load generator used nearly all of its one
// core, for either side.
func GeneratorBound(blocks []Block) []string {
	const busy = 0.85
	var names []string
	for _, b := range blocks {
		for _, sc := range b.Cells {
			base, candidate, _ := sc.Compare(MetricNamed(GeneratorCores))
			if max(base.Median, candidate.Median) > busy {
				names = append(names, sc.Name)
			}
		}
	}
	return names
}

func writeRow(w io.Writer, cells []string) {
	_, _ = fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

// figure has three significant digits, and thousands separators.
func figure(v float64) string {
	switch {
	case v >= 10_000:
		n := int(v+50) / 100 // hundreds
		return fmt.Sprintf("%d,%d00", n/10, n%10)
	case v >= 1000:
		n := int(v+5) / 10 // tens
		return fmt.Sprintf("%d,%02d0", n/100, n%100)
	case v >= 100, v == float64(int(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func oneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|")
}
