package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"eventgateway/internal/schema/infer"
)

// maxSampleFile bounds a file of samples, in bytes.
const maxSampleFile = 64 << 20

type schemasNew struct {
	eventType, dir, version string
	from, keys              []string
	stdout                  bool
}

func schemasNewCommand() *cobra.Command {
	var n schemasNew
	cmd := &cobra.Command{
		Use: "new TYPE --from FILE", Short: "draft an event type from sample events", Args: atMost(1),
		Long: `Drafts the schema of an event type from sample events: types, members that are
always present, formats. It writes DIR/TYPE/v1.json, which accepts all samples, for
you to edit. A FILE holds one JSON object, several one after the other, or a list of
them; the more they differ, the better the draft.`,
		Example: `  gateway schemas new orders.placed --from sample.json
  gateway schemas new orders.placed --from samples.jsonl --key /orderId --stdout`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				n.eventType = args[0]
			}
			return n.run(cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&n.from, "from", nil, "`FILE` of sample events; may be repeated")
	flags.StringArrayVar(&n.keys, "key", nil, "`POINTER` to the member that names the entity, such as /orderId; repeat it for a key of several parts;\n"+
		"null for an event about no entity; default: guessed from the names")
	flags.StringVar(&n.dir, "schemas", "schemas", "`DIR` of the event types")
	flags.StringVar(&n.version, "version", "", "`vN` to draft; default v1 of a new event type")
	flags.BoolVar(&n.stdout, "stdout", false, "print the draft instead of writing a file")
	return cmd
}

func (n *schemasNew) validate() error {
	const example = "gateway schemas new orders.placed --from sample.json"
	if n.eventType == "" {
		return usageError("say which event type to draft: " + example)
	}
	if err := infer.CheckName(n.eventType); err != nil {
		return usageError(err.Error())
	}
	if len(n.from) == 0 {
		return usageError("name a file with a sample event: " + example)
	}
	for _, key := range n.keys {
		if alone := key == "null" && len(n.keys) == 1; !alone && !strings.HasPrefix(key, "/") {
			return usageError(fmt.Sprintf("--key %s: a key is a JSON Pointer such as /orderId, or null alone", key))
		}
	}
	return nil
}

func (n *schemasNew) run(out io.Writer) error {
	if err := n.validate(); err != nil {
		return err
	}
	var samples []infer.Sample
	for _, file := range n.from {
		read, err := readSamples(file)
		if err != nil {
			return err
		}
		samples = append(samples, read...)
	}
	d, err := infer.New(n.eventType, samples, n.keys)
	if err != nil {
		return err
	}
	if err := d.Verify(samples); err != nil {
		return err
	}
	if n.stdout {
		_, err := out.Write(d.Schema)
		return err
	}
	path, err := d.Save(n.dir, n.version)
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

// printDraftNotes says what the author of a draft should review.
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
		return nil, fmt.Errorf("%s: larger than %d MiB; a few different samples are enough", file, maxSampleFile>>20)
	}
	return infer.Read(file, data)
}
