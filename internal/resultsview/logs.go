package resultsview

import (
	"context"
	"errors"
	"fmt"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// Logs are the logs of a run.
type Logs struct {
	// List has the logs that job.json tells of, in its order: by pod, then by
	// container, then by instance, the first one first.
	List []Log
	// Text is all that is kept of them, with headings and notes: of the logs as
	// they were written where Exact is true, else readable text.
	Text  []byte
	Exact bool
}

// Log is the log of one instance of a container.
type Log struct {
	Pod       *results.PodRecord
	Container *results.ContainerRecord
	// Previous is true for the instance before the last restart.
	Previous bool
	// Instance is the instance, if it is one before the previous one; else nil.
	Instance *results.InstanceRecord
	Capture  results.CaptureRecord
	// Head and Tail are what is kept of it, as it was written; Tail only where
	// something was left out between them. Both are parts of Logs.Text.
	Head, Tail []byte
	// Start and End are where they are in Logs.Text; End is 0 where they are not,
	// although there are some: then they are kept as readable text only.
	Start, End int
	// Missing is true where the part that has it could not be read.
	Missing bool
}

// Exact reports whether all that is kept is there as it was written.
func (l *Log) Exact() bool { return l.End > 0 || l.Capture.BytesKept == 0 }

// Logs reads the run's logs, by fetch those that are in parts of the same kind.
// The error wraps results.ErrDamaged, or is that of fetch. Where it is a
// *PartError, all that could be read is returned with it: the logs that are whole
// in what comes before, with Missing set in the others.
func (r *Run) Logs(ctx context.Context, fetch Fetch) (*Logs, error) {
	text, compressed, incomplete := r.text(ctx, fetch)
	var part *PartError
	if incomplete != nil && !errors.As(incomplete, &part) {
		return nil, incomplete
	}
	logs := &Logs{Text: text, Exact: compressed}
	for i := range r.Pods {
		pod := &r.Pods[i]
		for j := range pod.Containers {
			c := &pod.Containers[j]
			for k := range c.Instances {
				earlier := &c.Instances[k]
				logs.List = append(logs.List, Log{Pod: pod, Container: c, Instance: earlier, Capture: earlier.Capture})
			}
			if c.PreviousCapture != nil {
				logs.List = append(logs.List, Log{Pod: pod, Container: c, Previous: true, Capture: *c.PreviousCapture})
			}
			logs.List = append(logs.List, Log{Pod: pod, Container: c, Capture: c.Capture})
		}
	}
	for i := range logs.List {
		if l := &logs.List[i]; part != nil && l.beyond(len(text)) {
			l.Missing = true
		} else if err := l.locate(text); err != nil {
			return nil, err
		}
	}
	return logs, incomplete
}

// beyond reports whether the log is not whole in the first size bytes.
func (l *Log) beyond(size int) bool {
	at := l.Capture.Exact
	return at != nil && l.Capture.BytesKept > 0 && at.Offset > int64(size)-l.Capture.BytesKept
}

// locate finds the bytes of the log in text.
func (l *Log) locate(text []byte) error {
	at, kept, size := l.Capture.Exact, l.Capture.BytesKept, int64(len(text))
	if at == nil || kept == 0 {
		return nil
	}
	if at.Offset < 0 || kept < 0 || at.Offset > size || kept > size-at.Offset || at.HeadBytes < 0 || at.HeadBytes > kept {
		return fmt.Errorf("%w: the log of pod %s, container %s is not where %s says",
			results.ErrDamaged, l.Pod.Name, l.Container.Name, api.DataJobJSON)
	}
	l.Start, l.End = int(at.Offset), int(at.Offset+kept)
	l.Head = text[l.Start:l.End]
	if kept < l.Capture.BytesSeen {
		l.Head, l.Tail = l.Head[:at.HeadBytes], l.Head[at.HeadBytes:]
	}
	return nil
}
