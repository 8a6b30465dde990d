package capture

import (
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/redact"
)

// Keys of the values of a Batch.
const (
	// PodsKey holds a podRecord for each pod as JSON, one after the other, compressed
	// by gzip.
	PodsKey = "pods.gz"
	// LogsKey holds the logs, each compressed by gzip, one after the other in the
	// order in which the records tell of them.
	LogsKey = "logs.gz"
)

// podRecord is what is stored of a pod.
type podRecord struct {
	Pod *podJSON `json:"pod"`
	// Logs are those that were followed.
	Logs []logRecord `json:"logs,omitempty"`
}

// logRecord is what is stored of a log, beside its text.
type logRecord struct {
	Container string `json:"container"`
	Instance  string `json:"instance,omitempty"`
	Previous  bool   `json:"previous,omitempty"`

	// Life is there if something is known of the instance that a pod may not tell of.
	Life *lifeRecord `json:"life,omitempty"`

	Capture  captureRecord `json:"capture"`
	Redacted redact.Counts `json:"redacted,omitempty"`

	// Head and Tail are the bytes of text before and behind what was left out, Size
	// is how many they are compressed.
	Head int64      `json:"head"`
	Tail int64      `json:"tail,omitempty"`
	Gap  *gapRecord `json:"gap,omitempty"`
	Size int64      `json:"size"`
}

// gapRecord is a logtext.Gap.
type gapRecord struct {
	Bytes    int64 `json:"bytes"`
	Newlines int64 `json:"newlines"`
	Last     byte  `json:"last"`
}

// captureRecord is a results.Capture.
type captureRecord struct {
	Complete  bool   `json:"complete,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Message   string `json:"message,omitempty"`
	Retryable bool   `json:"curable,omitempty"`
}

func newLogRecord(l *followedLog) logRecord {
	return logRecord{
		Container: l.container, Instance: l.instance, Previous: l.previous,
		Life: newLifeRecord(l), Capture: captureRecord(l.capture), Redacted: l.redacted,
	}
}

func (r *logRecord) setGap(gap logtext.Gap) {
	if gap.Bytes > 0 {
		r.Gap = &gapRecord{Bytes: gap.Bytes, Newlines: gap.Newlines, Last: gap.Last}
	}
}

func (r *logRecord) gap() logtext.Gap {
	if r.Gap == nil {
		return logtext.Gap{}
	}
	return logtext.Gap{Bytes: r.Gap.Bytes, Newlines: r.Gap.Newlines, Last: r.Gap.Last}
}
