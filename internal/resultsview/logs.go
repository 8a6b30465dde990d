package resultsview

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/results"
)

// maxText bounds what logs.gz is decompressed to, in bytes: it may have been
// made to fill memory.
const maxText = 1 << 30

// Logs are the logs of a run.
type Logs struct {
	// List has the logs that job.json tells of, in its order: by pod, then by
	// container, the previous instance before the last one.
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
	Capture  results.CaptureRecord
	// Head and Tail are what is kept of it, as it was written; Tail only where
	// something was left out between them. Both are parts of Logs.Text.
	Head, Tail []byte
	// Start and End are where they are in Logs.Text; End is 0 where they are not,
	// although there are some: then they are kept as readable text only.
	Start, End int
}

// Exact reports whether all that is kept is there as it was written.
func (l *Log) Exact() bool { return l.End > 0 || l.Capture.BytesKept == 0 }

// Logs reads the run's logs. The error wraps results.ErrDamaged.
func (r *Run) Logs() (*Logs, error) {
	text, err := r.text()
	if err != nil {
		return nil, err
	}
	_, compressed := r.BinaryData[api.DataLogsGzip]
	logs := &Logs{Text: text, Exact: compressed}
	for i := range r.Pods {
		pod := &r.Pods[i]
		for j := range pod.Containers {
			c := &pod.Containers[j]
			if c.PreviousCapture != nil {
				logs.List = append(logs.List, Log{Pod: pod, Container: c, Previous: true, Capture: *c.PreviousCapture})
			}
			logs.List = append(logs.List, Log{Pod: pod, Container: c, Capture: c.Capture})
		}
	}
	for i := range logs.List {
		if err := logs.List[i].locate(text); err != nil {
			return nil, err
		}
	}
	return logs, nil
}

// text returns what the offsets of job.json are about.
func (r *Run) text() ([]byte, error) {
	compressed, there := r.BinaryData[api.DataLogsGzip]
	if !there {
		return []byte(r.Data[api.DataLogs]), nil
	}
	reader, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("%w: decompressing %s: %w", results.ErrDamaged, api.DataLogsGzip, err)
	}
	text, err := io.ReadAll(io.LimitReader(reader, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("%w: decompressing %s: %w", results.ErrDamaged, api.DataLogsGzip, err)
	}
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: %s holds more than %d bytes", results.ErrDamaged, api.DataLogsGzip, maxText)
	}
	return text, nil
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
