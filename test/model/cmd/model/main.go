// Command model searches the idempotency protocol for broken promises: first
// with all rules in force, then with each rule left out.
//
//	go run ./test/model/cmd/model [-full] [-markdown] [-steps]
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"eventgateway/test/model"
)

func main() {
	full := flag.Bool("full", false, "larger bounds: minutes, and some GB of memory")
	markdown := flag.Bool("markdown", false, "print tables for docs/guarantees.md")
	steps := flag.Bool("steps", false, "print every step of every trace")
	flag.Parse()
	out := printer{out: os.Stdout, markdown: *markdown, steps: *steps}
	ok := out.runs(model.Runs(*full))
	ok = out.cases(model.Cases(*full)) && ok
	if !ok {
		fmt.Fprintln(os.Stderr, "model: not as expected; see above")
		os.Exit(1)
	}
}

type printer struct {
	out      io.Writer
	markdown bool
	steps    bool
}

// runs prints one line for each run with all rules in force.
func (p printer) runs(runs []model.Named) bool {
	p.row("all rules in force", "result", "depth", "states", "seconds")
	p.rule(5)
	ok := true
	for _, n := range runs {
		r := model.Run(n.Config)
		result := "holds"
		if r.Violated != "" {
			ok, result = false, r.Violated+": "+model.Line(r.Trace)
		}
		p.row(n.Name, result, fmt.Sprint(r.Depth), thousands(r.States), fmt.Sprintf("%.1f", r.Elapsed.Seconds()))
		p.trace(r)
	}
	fmt.Fprintln(p.out)
	return ok
}

// cases prints one line for each rule left out.
func (p printer) cases(cases []model.Case) bool {
	p.row("rule", "guarantee", "left out: what happens", "steps", "states")
	p.rule(5)
	ok := true
	for _, c := range cases {
		r := model.Run(c.Config)
		ok = ok && (r.Violated == "") == c.Holds
		result, steps := "nothing", "–"
		if r.Violated != "" {
			result, steps = "**"+r.Violated+"**: "+model.Line(r.Trace), fmt.Sprint(len(r.Trace))
		}
		p.row(c.Rule.String(), c.Config.Words(), result, steps, thousands(r.States))
		p.trace(r)
	}
	return ok
}

func (p printer) row(cells ...string) {
	if p.markdown {
		fmt.Fprintln(p.out, "| "+strings.Join(cells, " | ")+" |")
		return
	}
	fmt.Fprintln(p.out, strings.ReplaceAll(strings.Join(cells, "\t"), "**", ""))
}

func (p printer) rule(columns int) {
	if p.markdown {
		fmt.Fprintln(p.out, "|"+strings.Repeat(" --- |", columns))
	}
}

func (p printer) trace(r model.Result) {
	if !p.steps || p.markdown {
		return
	}
	for i, s := range r.Trace {
		fmt.Fprintf(p.out, "    %2d  %s\n", i+1, s)
	}
}

// thousands groups the digits of n.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
