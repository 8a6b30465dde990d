package capture

import (
	"bytes"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

// What a record may say of a log.
const (
	maxLogsOfPod = told*maxContainers + maxEarlierOfPod
	// maxOmitted is how much may have been left out of a log, in bytes.
	maxOmitted = 1 << 50
	maxRules   = 64
	maxName    = 253
	maxReason  = 64
	maxMessage = 1 << 10
)

// check returns what is wrong with the record, where there are so many bytes of logs
// of this pod and of later ones.
func (r *podRecord) check(job types.UID, size int64) error {
	if r.Pod == nil {
		return fmt.Errorf("%w: a record without a pod", errForeign)
	}
	if err := r.Pod.check(job); err != nil {
		return err
	}
	if len(r.Logs) > maxLogsOfPod {
		return fmt.Errorf("%w: %d logs of a pod", errForeign, len(r.Logs))
	}
	for i := range r.Logs {
		if !r.Logs[i].sound(size) {
			return fmt.Errorf("%w: a log that cannot be", errForeign)
		}
		size -= r.Logs[i].Size
	}
	return nil
}

// sound reports whether the record can be one of a log in at most so many
// compressed bytes.
func (r *logRecord) sound(packed int64) bool {
	gap := r.gap()
	switch {
	case r.Size < 0 || r.Size > packed,
		r.Head < 0 || r.Head > maxUnpacked, r.Tail < 0 || r.Tail > maxUnpacked,
		r.Gap != nil && (gap.Bytes <= 0 || gap.Bytes > maxOmitted), gap.Newlines < 0 || gap.Newlines > gap.Bytes,
		gap.Bytes == 0 && r.Tail != 0,
		!r.Life.sound(),
		len(r.Container) > maxName, len(r.Redacted) > maxRules, len(r.Capture.Reason) > maxReason:
		return false
	}
	for rule, count := range r.Redacted {
		if len(rule) > maxReason || count < 0 {
			return false
		}
	}
	return true
}

// packedLogs are logs, each compressed, one after the other.
type packedLogs struct {
	// rest has those that were not unpacked yet.
	rest []byte
	text logpack.Unpacker
}

// next returns the text of the next log, which takes so many bytes compressed.
func (p *packedLogs) next(size int64) (*logpack.Unpacker, error) {
	packed := p.rest[:size]
	p.rest = p.rest[size:]
	return &p.text, p.text.Open(bytes.NewReader(packed))
}

// end returns an error unless all logs were unpacked.
func (p *packedLogs) end() error {
	if len(p.rest) > 0 {
		return fmt.Errorf("%w: %d bytes of logs too many", errForeign, len(p.rest))
	}
	return nil
}

// restoreLog returns the log, of a pod in namespace, that comes next in packed.
func (m *memory) restoreLog(namespace string, record *logRecord, packed *packedLogs) (*followedLog, error) {
	text, err := packed.next(record.Size)
	if err != nil {
		return nil, err
	}
	room := min(maxText, m.limit/textShare)
	work := int(min(int64(room), record.Head+record.Tail)) * bufferCopies
	m.reserve(work)
	defer m.reserve(-work)
	head, tail := logtext.NewBuffer(room), logtext.NewBuffer(room)
	var all *logpack.Log
	if record.Head+record.Tail > int64(room) {
		all = m.pool.OpenFor(namespace, false)
	}
	if err := unpackInto(text, record, writers{head, tail, all}); err != nil {
		if all != nil {
			m.pool.Drop(all)
		}
		return nil, err
	}
	if all != nil {
		// It never fails.
		_ = all.Close()
	}
	buffer := joined(head, tail, record.gap())
	buffer.Shrink(room)
	l := &followedLog{
		container: record.Container, instance: record.Instance, previous: record.Previous,
		cancel: func() {}, state: done, text: m.adopt(namespace, buffer, all),
		redacted: record.Redacted, capture: results.Capture(record.Capture),
	}
	if err := record.Life.restore(l); err != nil {
		l.text.drop()
		return nil, err
	}
	l.capture.Message = logtext.Line(l.capture.Message, maxMessage)
	return l, nil
}

// writers are where a log goes; all may be nil.
type writers struct {
	head, tail *logtext.Buffer
	all        *logpack.Log
}

func unpackInto(text *logpack.Unpacker, record *logRecord, to writers) error {
	head, tail := io.Writer(to.head), io.Writer(to.tail)
	if to.all != nil {
		head, tail = io.MultiWriter(head, to.all), io.MultiWriter(tail, to.all)
	}
	if err := text.Copy(head, record.Head); err != nil {
		return err
	}
	if to.all != nil {
		to.all.Skip(record.gap())
	}
	if err := text.Copy(tail, record.Tail); err != nil {
		return err
	}
	return text.End()
}
