package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"eventgateway/internal/schema/infer"
)

const schemasNewUsage = `gateway schemas new TYPE --from FILE [--from FILE …] [flags]

Drafts the schema of an event type from sample events: types, members that are
always there, formats. It writes DIR/TYPE/v1.json, which accepts all samples, for
you to go over. A FILE holds one JSON object, several one after the other, or a
list of them; the more they differ, the better the draft.

  gateway schemas new orders.placed --from sample.json
  gateway schemas new orders.placed --from samples.jsonl --key /orderId --stdout

`

// maxSampleFile bounds a file of samples, in bytes.
const maxSampleFile = 64 << 20

type newFlags struct {
	eventType, dir, version string
	from, keys              []string
	stdout                  bool
}

// runSchemasNew is `gateway schemas new`.
func runSchemasNew(args []string, out, errOut io.Writer) error {
	f, err := parseSchemasNew(args, errOut)
	if err != nil {
		return err
	}
	var samples []infer.Sample
	for _, file := range f.from {
		read, err := readSamples(file)
		if err != nil {
			return err
		}
		samples = append(samples, read...)
	}
	d, err := infer.New(f.eventType, samples, f.keys)
	if err != nil {
		return err
	}
	if err := d.Verify(samples); err != nil {
		return err
	}
	if f.stdout {
		_, err := out.Write(d.Schema)
		return err
	}
	path, err := d.Save(f.dir, f.version)
	if err != nil {
		return err
	}
	noun := "samples"
	if len(samples) == 1 {
		noun = "sample"
	}
	fmt.Fprintf(out, "%s is drafted from %d %s.\n", path, len(samples), noun)
	printDraftNotes(out, d)
	return nil
}

// printDraftNotes says what the author of a draft should look at.
func printDraftNotes(out io.Writer, d *infer.Result) {
	key := "none: events may go to any partition"
	if len(d.Keys) > 0 {
		key = strings.Join(d.Keys, " and ") + ": events with the same value stay in order"
	}
	if d.Guessed {
		key += " (a guess; correct x-event in the file if it is wrong)"
	}
	fmt.Fprintf(out, "\n  entity key  %s\n", key)
	for _, note := range d.Notes {
		fmt.Fprintf(out, "  look at     %s\n", note)
	}
	fmt.Fprint(out, "  examples    are your samples, and callers of the gateway can read them: take out what is personal\n\n"+
		"Next: add descriptions and limits, then run gateway schemas check.\n")
}

func parseSchemasNew(args []string, errOut io.Writer) (*newFlags, error) {
	f := &newFlags{}
	fs := flag.NewFlagSet("schemas new", flag.ContinueOnError)
	add := func(list *[]string) func(string) error {
		return func(s string) error { *list = append(*list, s); return nil }
	}
	fs.Func("from", "`FILE` of sample events; may be repeated", add(&f.from))
	fs.Func("key", "`POINTER` to the member that names the entity, such as /orderId; repeat it for a key of several parts;\n"+
		"null for an event about no entity; default: guessed from the names", add(&f.keys))
	fs.StringVar(&f.dir, "schemas", "schemas", "`DIR` of the event types")
	fs.StringVar(&f.version, "version", "", "`vN` to draft; default v1 of a new event type")
	fs.BoolVar(&f.stdout, "stdout", false, "print the draft instead of writing a file")
	fs.Usage = func() {
		_, _ = io.WriteString(errOut, schemasNewUsage)
		fs.PrintDefaults()
	}
	var err error
	if f.eventType, err = parseFlagsAndName(fs, args, errOut); err != nil {
		return nil, err
	}
	const example = "gateway schemas new orders.placed --from sample.json"
	if f.eventType == "" {
		return nil, usageError("say which event type to draft: " + example)
	}
	if err := infer.CheckName(f.eventType); err != nil {
		return nil, usageError(err.Error())
	}
	if len(f.from) == 0 {
		return nil, usageError("name a file with a sample event: " + example)
	}
	for _, key := range f.keys {
		if alone := key == "null" && len(f.keys) == 1; !alone && !strings.HasPrefix(key, "/") {
			return nil, usageError(fmt.Sprintf("--key %s: a key is a JSON Pointer such as /orderId, or null alone", key))
		}
	}
	return f, nil
}

func readSamples(file string) (samples []infer.Sample, err error) {
	f, err := os.Open(file) //nolint:gosec // whoever runs the command may read the file
	if err != nil {
		return nil, fmt.Errorf("read sample: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, maxSampleFile+1))
	if err != nil {
		return nil, fmt.Errorf("read sample: %w", err)
	}
	if len(data) > maxSampleFile {
		return nil, fmt.Errorf("%s: larger than %d MiB; a few samples that differ say as much", file, maxSampleFile>>20)
	}
	return infer.Read(file, data)
}
