package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
	"github.com/job-handler/job-handler/internal/resultsview"
)

const (
	// maxRows bounds the rows of containers on the screen: failed ones come first.
	maxRows = 20
	// maxTails bounds the failed containers whose last lines are shown.
	maxTails = 3
	// maxTailBytes bounds the last lines of one of them.
	maxTailBytes = 8 << 10
	// maxEvents bounds the Events, the latest; maxEvent bounds the message of one, in
	// bytes.
	maxEvents = 5
	maxEvent  = 300
	// maxOwnResult bounds a value that the Job reported, in bytes.
	maxOwnResult = 500
)

type screenOptions struct {
	now   time.Time
	lines int
}

// screen prints one run.
type screen struct {
	screenOptions
	out io.Writer
	run *resultsview.Run
}

// printScreen prints what happened in run.
func printScreen(out io.Writer, run *resultsview.Run, logs *resultsview.Logs, opts screenOptions) error {
	s := &screen{screenOptions: opts, out: out, run: run}
	s.summary()
	if err := s.containers(); err != nil {
		return err
	}
	s.events()
	s.ownResults()
	s.lastLines(logs)
	return nil
}

func (s *screen) line(label, value string) {
	if value != "" {
		fmt.Fprintf(s.out, "%-10s %s\n", label+":", logtext.Line(value, 4<<10))
	}
}

func (s *screen) summary() {
	r := s.run
	job := r.Job.Name + " in namespace " + r.Job.Namespace
	if r.Job.CronJob != "" {
		job += ", of CronJob " + r.Job.CronJob
	}
	s.line("Job", job)
	message, explanation := r.Message, ""
	if r.Explanation != nil {
		// The message already ends with it.
		explanation = r.Explanation.Text
		message = strings.TrimSuffix(strings.TrimSuffix(message, explanation), "; ")
	}
	s.line("Outcome", joined(": ", r.Status, r.Reason, message))
	s.line("Why", explanation)
	finished := joined(" ", r.CompletionTime, parenthesised(ago(s.now, r.Finished())))
	if r.DurationSeconds != nil {
		finished = joined(", ", finished, "after "+took(r.DurationSeconds))
	}
	s.line("Finished", finished)
	s.line("Pods", pods(r))
	kept, seen := r.LogBytes()
	s.line("Logs", logSummary(r.Capture, kept, seen))
	s.line("Redacted", redacted(r.Redacted))
	s.line("Stored in", fmt.Sprintf("%s, run %s", r.Object, r.Job.UID))
	if expires := r.Annotations[api.ExpiresAtAnnotation]; expires != "" {
		s.line("Expires", expires)
	}
}

// joined joins the texts that are not empty.
func joined(separator string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), separator)
}

func parenthesised(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}

func pods(r *resultsview.Run) string {
	counts := []string{
		fmt.Sprintf("%d succeeded", r.PodCounts.Succeeded), fmt.Sprintf("%d failed", r.PodCounts.Failed),
	}
	if r.PodCounts.Missing > 0 {
		counts = append(counts, fmt.Sprintf("%d gone before they could be read", r.PodCounts.Missing))
	}
	if r.PodCounts.MayBeMissing > 0 {
		counts = append(counts, fmt.Sprintf("%d more may be missing", r.PodCounts.MayBeMissing))
	}
	return strings.Join(counts, ", ")
}

// redacted returns what was replaced, by rule.
func redacted(counts map[string]int64) string {
	var parts []string
	for _, rule := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[rule], rule))
	}
	return strings.Join(parts, ", ")
}

func logSummary(c results.RunCapture, kept, seen int64) string {
	amount := size(kept)
	if seen > kept {
		amount += " of " + size(seen)
	}
	if c.Complete {
		return amount + ", complete"
	}
	return amount + ", incomplete: " + c.Why
}

var containerColumns = []metav1.TableColumnDefinition{
	{Name: "Pod", Type: "string"},
	{Name: "Container", Type: "string"},
	{Name: "Kind", Type: "string"},
	{Name: "State", Type: "string"},
	{Name: "Exit code", Type: "string"},
	{Name: "Restarts", Type: "string"},
	{Name: "Duration", Type: "string"},
	{Name: "Log", Type: "string"},
}

// containerRow is a row of the table, before its columns are known.
type containerRow struct {
	pod       *results.PodRecord
	container *results.ContainerRecord
}

func (s *screen) containers() error {
	rows := failedFirst(s.run)
	if len(rows) == 0 {
		return nil
	}
	left := len(rows) - min(len(rows), maxRows) + s.run.Omitted.Containers
	t := &metav1.Table{ColumnDefinitions: containerColumns}
	for _, row := range rows[:min(len(rows), maxRows)] {
		t.Rows = append(t.Rows, metav1.TableRow{Cells: row.cells()})
	}
	fmt.Fprintln(s.out)
	if err := printers.NewTablePrinter(printers.PrintOptions{}).PrintObj(t, safeWriter{s.out}); err != nil {
		return fmt.Errorf("printing containers: %w", err)
	}
	if left > 0 {
		fmt.Fprintf(s.out, "(%s more)\n", logtext.Count(int64(left), "container"))
	}
	return nil
}

// failedFirst returns the containers, failed ones first.
func failedFirst(run *resultsview.Run) []containerRow {
	var failed, others []containerRow
	for i := range run.Pods {
		pod := &run.Pods[i]
		for j := range pod.Containers {
			row := containerRow{pod, &pod.Containers[j]}
			if row.container.Failed() {
				failed = append(failed, row)
			} else {
				others = append(others, row)
			}
		}
	}
	return append(failed, others...)
}

func (r containerRow) cells() []any {
	c := r.container
	state := c.State.State
	if c.State.Reason != "" {
		state += " (" + c.State.Reason + ")"
	}
	exit := ""
	if c.State.ExitCode != nil {
		exit = strconv.Itoa(int(*c.State.ExitCode))
	}
	restarts := strconv.Itoa(int(c.RestartCount))
	if c.Unstable() {
		restarts += " (unstable)"
	}
	log := size(c.Capture.BytesKept)
	switch {
	case c.Capture.Reason == results.ReasonNeverStarted:
		log = "none (" + c.Capture.Reason + ")"
	case !c.Capture.Complete:
		log += " (" + joined(", ", "incomplete", c.Capture.Reason) + ")"
	}
	return []any{r.pod.Name, c.Name, string(c.Kind), state, orNone(exit), restarts, orNone(took(c.State.DurationSeconds)), log}
}

// events prints the latest Warning Events of the Job and its pods.
func (s *screen) events() {
	all := s.run.Events
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(s.out, "\nEvents:")
	for _, e := range all[max(0, len(all)-maxEvents):] {
		often := ""
		if e.Count > 1 {
			often = fmt.Sprintf(" (%d times)", e.Count)
		}
		fmt.Fprintf(s.out, "  %s  %s/%s  %s%s: %s\n", e.LastSeen, strings.ToLower(safe(e.Kind)), safe(e.Name), safe(e.Reason), often,
			logtext.Line(e.Message, maxEvent))
	}
	if left := len(all) - maxEvents; left > 0 {
		fmt.Fprintf(s.out, "  (%s before them: --output=jsonpath='{.data.events}')\n", logtext.Count(int64(left), "Event"))
	}
}

func (s *screen) ownResults() {
	own := s.run.OwnResults()
	if len(own) == 0 {
		return
	}
	fmt.Fprintln(s.out, "\nThe Job's own results:")
	for _, key := range slices.Sorted(maps.Keys(own)) {
		fmt.Fprintf(s.out, "  %s: %s\n", safe(key), logtext.Line(own[key], maxOwnResult))
	}
}

// lastLines prints the last lines of the first containers that failed.
func (s *screen) lastLines(logs *resultsview.Logs) {
	printed := 0
	for i := range logs.List {
		l := &logs.List[i]
		if s.lines <= 0 || printed == maxTails || !failedInstance(l) || l.End == 0 {
			continue
		}
		printed++
		text := l.Head
		if len(l.Tail) > 0 {
			text = l.Tail
		}
		text = text[max(0, len(text)-maxTailBytes):]
		fmt.Fprintf(s.out, "\nLast lines of %s:\n", describe(l))
		for line := range strings.Lines(safe(string(resultsview.LastLines(text, s.lines)))) {
			fmt.Fprintln(s.out, "  "+strings.TrimSuffix(line, "\n"))
		}
	}
}

// failedInstance reports whether the log is that of the container's last
// failure.
func failedInstance(l *resultsview.Log) bool {
	if !l.Container.Failed() {
		return false
	}
	current := l.Container.State.State == results.StateTerminated
	return l.Instance == nil && l.Previous != current
}

// describe names the log: "pod p, container c, previous instance".
func describe(l *resultsview.Log) string {
	text := fmt.Sprintf("pod %s, container %s", safe(l.Pod.Name), safe(l.Container.Name))
	switch {
	case l.Previous:
		text += ", previous instance"
	case l.Instance != nil && l.Instance.Restart != nil:
		text += fmt.Sprintf(", instance %d", int64(*l.Instance.Restart)+1)
	case l.Instance != nil:
		text += ", earlier instance"
	}
	return text
}
