package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/job-handler/job-handler/internal/resultsview"
)

// allLines is the value of --tail that omits nothing.
const allLines = -1

// logsOptions are the flags of logs.
type logsOptions struct {
	*plugin
	target target
	choice choice
	tail   int
	raw    bool
}

// choice says which logs of a run to print.
type choice struct {
	pod, container string
	// previous is nil for all instances.
	previous *bool
}

func (c *choice) all() bool { return *c == choice{} }

func (c *choice) has(l *resultsview.Log) bool {
	return (c.pod == "" || c.pod == l.Pod.Name) &&
		(c.container == "" || c.container == l.Container.Name) &&
		(c.previous == nil || *c.previous == l.Previous && l.Instance == nil)
}

func newLogs(p *plugin) *cobra.Command {
	o := &logsOptions{plugin: p}
	var previous bool
	command := &cobra.Command{
		Use: "logs NAME", Short: "Print the logs of a run, all of them or some", Args: cobra.ExactArgs(1),
		Long: "Print the stored logs of a run. Control characters are made visible; --raw prints the bytes\n" +
			"that the containers wrote, after redaction. The text says what was left out or is missing, with\n" +
			"--raw or for a single log on standard error.",
		Example: "  # The logs of a Job, pod by pod\n  kubectl job-results logs nightly-report\n\n" +
			"  # The log of one container, byte for byte\n  kubectl job-results logs nightly-report -c main --raw > report.bin",
		ValidArgsFunction: p.completeName,
		RunE: func(command *cobra.Command, args []string) error {
			o.target.name = args[0]
			if command.Flags().Changed("previous") {
				o.choice.previous = &previous
			}
			return o.run(command.Context())
		},
	}
	o.target.addFlags(command)
	flags := command.Flags()
	flags.StringVar(&o.choice.pod, "pod", "", "Print the logs of this pod only.")
	flags.StringVarP(&o.choice.container, "container", "c", "", "Print the logs of this container only, of every pod.")
	flags.BoolVarP(&previous, "previous", "p", false,
		"Print only the instances before the last restart; false: only the last ones. Default: these and earlier ones.")
	flags.IntVar(&o.tail, "tail", allLines, "Last lines to print of each log; -1 prints all.")
	flags.BoolVar(&o.raw, "raw", false, "Print the bytes as the containers wrote them. They may control your terminal.")
	return command
}

func (o *logsOptions) run(ctx context.Context) error {
	c, err := o.connect()
	if err != nil {
		return err
	}
	run, err := c.find(ctx, o.target)
	if err != nil {
		return err
	}
	logs, err := c.logs(ctx, run)
	var lost *resultsview.PartError
	if err != nil && !errors.As(err, &lost) {
		return err
	}
	w := newLogWriter(o.Out, o.ErrOut, printers.AllowsColorOutput(o.Out), o.tail)
	if lost == nil {
		err = w.print(run, logs, o)
	} else {
		err = w.printRest(run, logs, o, lost)
	}
	if flushed := w.out.Flush(); err == nil && flushed != nil {
		err = fmt.Errorf("printing logs: %w", flushed)
	}
	return err
}

func (w *logWriter) print(run *resultsview.Run, logs *resultsview.Logs, o *logsOptions) error {
	if o.choice.all() && o.tail < 0 && !o.raw {
		w.whole(logs)
		return nil
	}
	chosen, err := chosenLogs(logs, &o.choice)
	if err != nil {
		return err
	}
	if run.Omitted.Containers > 0 {
		fmt.Fprintf(o.ErrOut, "Note: the Job had too many containers to list all; %d are only in the whole text: kubectl job-results logs %s\n",
			run.Omitted.Containers, run.Name)
	}
	if err := wantExact(run, chosen); err != nil {
		return err
	}
	if o.raw {
		w.raw(chosen)
		return nil
	}
	w.each(chosen)
	return nil
}

// chosenLogs returns the chosen logs, or an error that names the existing ones.
func chosenLogs(logs *resultsview.Logs, c *choice) ([]*resultsview.Log, error) {
	var chosen []*resultsview.Log
	there := make([]string, 0, len(logs.List))
	for i := range logs.List {
		l := &logs.List[i]
		there = append(there, describe(l))
		if c.has(l) {
			chosen = append(chosen, l)
		}
	}
	if len(chosen) == 0 {
		return nil, errors.New("no such log; there are:\n" + list(there[:min(len(there), maxRows)], "  none"))
	}
	return chosen, nil
}

// wantExact returns an error if one of the logs exists as readable text only: then it
// cannot be separated from the others exactly.
func wantExact(run *resultsview.Run, chosen []*resultsview.Log) error {
	inexact := slices.IndexFunc(chosen, func(l *resultsview.Log) bool { return !l.Exact() })
	if inexact < 0 {
		return nil
	}
	return fmt.Errorf("the log of %s is kept as readable text only, with those of all others: kubectl job-results logs %s",
		describe(chosen[inexact]), run.Name)
}

// heading reports whether line starts a log, and the pod of that log.
func heading(line string) (pod string, found bool) {
	rest, found := strings.CutPrefix(line, "==> pod ")
	pod, _, _ = strings.Cut(rest, ",")
	return pod, found
}

// logWriter prints logs.
type logWriter struct {
	out     *bufio.Writer
	notes   io.Writer
	colours bool
	tail    int
	pods    palette
}

func newLogWriter(out, notes io.Writer, colours bool, tail int) *logWriter {
	return &logWriter{out: bufio.NewWriter(out), notes: notes, colours: colours, tail: tail}
}
