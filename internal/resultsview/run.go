package resultsview

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/boundedjson"
	"github.com/job-handler/job-handler/internal/results"
)

// Run is what a results object tells of one run of a Job.
type Run struct {
	*results.Object
	results.Record
}

// Parse returns what object tells. It wraps results.ErrStranger or
// results.ErrDamaged where object is not one of Job Handler, or not whole.
func Parse(object *results.Object) (*Run, error) {
	_, capture := object.Labels[api.CaptureOfLabel]
	switch {
	case object.Labels[api.CreatedLabel] != api.True:
		return nil, fmt.Errorf("%w: no label %s=%s", results.ErrStranger, api.CreatedLabel, api.True)
	case capture:
		return nil, fmt.Errorf("%w: it keeps captured pods of a Job that goes on", results.ErrStranger)
	}
	if err := object.Whole(); err != nil {
		return nil, err
	}
	if object.Labels[api.PartLabel] != "" {
		return nil, fmt.Errorf("%w: a part of %s", results.ErrStranger, object.Annotations[api.PartOfAnnotation])
	}
	run := &Run{Object: object}
	if err := boundedjson.Unmarshal(object.Data[api.DataJobJSON], &run.Record); err != nil {
		return nil, fmt.Errorf("%w: reading %s: %w", results.ErrDamaged, api.DataJobJSON, err)
	}
	if run.Schema != api.SchemaV1 {
		return nil, fmt.Errorf("%w: %s has schema %q, and only %s can be read", results.ErrDamaged, api.DataJobJSON, run.Schema, api.SchemaV1)
	}
	return run, nil
}

// Finished returns when the Job completed or failed; the zero time if that is
// not told.
func (r *Run) Finished() time.Time {
	finished, err := time.Parse(time.RFC3339, r.CompletionTime)
	if err != nil {
		return time.Time{}
	}
	return finished
}

// ExitCodes returns the exit codes of the run's containers, each once, in
// ascending order. Sidecars and ephemeral containers do not count: how they end
// says nothing about the Job.
func (r *Run) ExitCodes() []int32 {
	codes := map[int32]bool{}
	for _, pod := range r.Pods {
		for i := range pod.Containers {
			c := &pod.Containers[i]
			own := c.Kind == results.KindMain || c.Kind == results.KindInit
			if own && c.State.ExitCode != nil {
				codes[*c.State.ExitCode] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(codes))
}

// LogBytes returns how many bytes of log were kept and read, as the containers
// wrote them.
func (r *Run) LogBytes() (kept, seen int64) {
	for _, pod := range r.Pods {
		for i := range pod.Containers {
			c := &pod.Containers[i]
			kept += c.Capture.BytesKept
			seen += c.Capture.BytesSeen
			for k := range c.Instances {
				kept += c.Instances[k].Capture.BytesKept
				seen += c.Instances[k].Capture.BytesSeen
			}
			if c.PreviousCapture != nil {
				kept += c.PreviousCapture.BytesKept
				seen += c.PreviousCapture.BytesSeen
			}
		}
	}
	return kept, seen
}

// OwnResults returns what the Job itself reported, by key of the data. A value
// may hold any character.
func (r *Run) OwnResults() map[string]string {
	own := map[string]string{}
	if r.Record.OwnResults == nil {
		return own
	}
	for _, key := range r.Record.OwnResults.DataKeys {
		if value, there := r.Data[key]; there {
			own[key] = value
		}
	}
	return own
}

// Order is what runs are sorted by.
type Order struct {
	finished, stored time.Time
	name             string
}

// Order returns what the run is sorted by.
func (r *Run) Order() Order {
	return Order{finished: r.Finished(), stored: r.CreationTimestamp.Time, name: r.Namespace + "/" + r.Name}
}

// NewestFirst sorts runs by their end, the latest first; those that ended at
// the same time by when their results were stored, then by name.
func NewestFirst(runs []*Run) { SortNewestFirst(runs, (*Run).Order) }

// SortNewestFirst sorts what stands for runs as NewestFirst does.
func SortNewestFirst[T any](list []T, order func(T) Order) {
	slices.SortStableFunc(list, func(first, second T) int {
		a, b := order(first), order(second)
		return cmp.Or(b.finished.Compare(a.finished), b.stored.Compare(a.stored), strings.Compare(a.name, b.name))
	})
}
