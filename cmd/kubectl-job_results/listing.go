package main

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubectl/pkg/cmd/get"

	"github.com/job-handler/job-handler/internal/resultsview"
)

// maxCell bounds a cell of a table, in bytes: any user may have written its content.
const maxCell = 512

// listing has the output of list. For a table it keeps only the row of each run: there
// may be thousands of results, and some may be made to fill memory.
type listing struct {
	now time.Time
	// rows are the rows of a table; with whole, listing keeps runs instead.
	rows  []row
	whole bool
	runs  []*resultsview.Run
	// labels are the labels that a table shows; allLabels shows all.
	labels    []string
	allLabels bool
}

// row is a row of a table, with its sort keys.
type row struct {
	resultsview.Order
	metav1.TableRow
}

func newListing(output *get.PrintFlags, now time.Time) *listing {
	l := &listing{now: now, whole: !table(output)}
	if human := output.HumanReadableFlags; human != nil {
		l.allLabels = human.ShowLabels != nil && *human.ShowLabels
		if human.ColumnLabels != nil {
			l.labels = *human.ColumnLabels
		}
	}
	return l
}

func (l *listing) empty() bool { return len(l.rows) == 0 && len(l.runs) == 0 }

func (l *listing) add(r *resultsview.Run) {
	if l.whole {
		l.runs = append(l.runs, r)
		return
	}
	l.rows = append(l.rows, row{Order: r.Order(), TableRow: l.rowOf(r)})
}

func (l *listing) rowOf(r *resultsview.Run) metav1.TableRow {
	kept, _ := r.LogBytes()
	cells := []any{
		r.Name, r.Job.Name, r.Status, orNone(ago(l.now, r.Finished())), orNone(took(r.DurationSeconds)), exitCodes(r),
		size(kept), yesOrNo(r.Capture.Complete),
		orNone(r.Reason), orNone(r.Job.CronJob), r.Job.UID, orNone(r.Capture.Why),
	}
	for i, c := range cells {
		if text, is := c.(string); is {
			cells[i] = cell(text)
		}
	}
	return metav1.TableRow{Cells: cells, Object: runtime.RawExtension{Object: &metav1.PartialObjectMetadata{
		ObjectMeta: metav1.ObjectMeta{
			Name: r.Name, Namespace: r.Namespace, CreationTimestamp: r.CreationTimestamp, Labels: l.labelsOf(r),
		},
	}}}
}

// labelsOf returns the labels of the run that the table shows.
func (l *listing) labelsOf(r *resultsview.Run) map[string]string {
	if l.allLabels {
		return r.Labels
	}
	shown := map[string]string{}
	for _, key := range l.labels {
		if value, there := r.Labels[key]; there {
			shown[key] = value
		}
	}
	return shown
}

// cell returns text that fits into a cell, in memory of its own.
func cell(text string) string {
	if len(text) > maxCell {
		return strings.ToValidUTF8(text[:maxCell], "") + "..."
	}
	return strings.Clone(text)
}

// table returns the rows, the newest first.
func (l *listing) table() *metav1.Table {
	t := &metav1.Table{ColumnDefinitions: runColumns}
	resultsview.SortNewestFirst(l.rows, func(r row) resultsview.Order { return r.Order })
	for _, r := range l.rows {
		t.Rows = append(t.Rows, r.TableRow)
	}
	return t
}

// newestFirst returns the runs, the newest first.
func (l *listing) newestFirst() []*resultsview.Run {
	resultsview.NewestFirst(l.runs)
	return l.runs
}
