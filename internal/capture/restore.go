package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/job-handler/job-handler/internal/logpack"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/results"
)

// What is stored may be anybody's work, so that what it says is bounded.
const (
	maxLogsOfPod = 2000
	// maxUnpacked is how much text all logs of an object have, in bytes, maxOmitted
	// how much may have been left out of one.
	maxUnpacked = 512 << 20
	maxOmitted  = 1 << 50
	maxRules    = 64
	maxName     = 253
	maxReason   = 64
	maxMessage  = 1 << 10
)

// errForeign is what is wrong with values that Pack cannot have made.
var errForeign = errors.New("not a capture")

// Restored are pods that were stored by Batches, of one Job.
type Restored struct {
	captures *Captures
	job      types.UID
	captured []Captured
}

// Restore returns what is stored of the pods of job, nothing yet. It takes of the
// same memory as what is captured. Release it when it is not used any more.
func (c *Captures) Restore(job types.UID) *Restored {
	return &Restored{captures: c, job: job}
}

// Add adds the pods of the values of a Batch, or none with an error that says what
// is wrong with them. It never panics, whatever they are.
func (r *Restored) Add(values map[string][]byte) error {
	records, err := readRecords(values[PodsKey])
	if err != nil {
		return err
	}
	if err := r.check(records, int64(len(values[LogsKey]))); err != nil {
		return err
	}
	added := &Restored{captures: r.captures}
	logs := values[LogsKey]
	for i := range records {
		if logs, err = added.add(&records[i], logs); err != nil {
			added.Release()
			return err
		}
	}
	r.captured = append(r.captured, added.captured...)
	return nil
}

// Release gives back the memory of the logs.
func (r *Restored) Release() {
	for _, one := range r.captured {
		for i := range one.logs {
			one.logs[i].text.drop()
		}
	}
	r.captured = nil
}

// readRecords returns the records in a value of PodsKey.
func readRecords(packed []byte) ([]podRecord, error) {
	text, err := unpack(packed)
	if err != nil {
		return nil, err
	}
	defer text.close()
	if text.reader == nil {
		return nil, fmt.Errorf("%w: no %s", errForeign, PodsKey)
	}
	bounded := &io.LimitedReader{R: text.reader, N: maxPodsText}
	decoder := json.NewDecoder(bounded)
	var records []podRecord
	for {
		var record podRecord
		err := decoder.Decode(&record)
		if errors.Is(err, io.EOF) && bounded.N > 0 {
			return records, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: reading %s: %w", errForeign, PodsKey, err)
		}
		if records = append(records, record); len(records) > maxPodsOfJob {
			return nil, fmt.Errorf("%w: more than %d pods", errForeign, maxPodsOfJob)
		}
	}
}

// check returns what is wrong with the records of an object with so many bytes of
// logs.
func (r *Restored) check(records []podRecord, size int64) error {
	var text, packed int64
	for _, record := range records {
		pod := record.Pod
		if pod == nil || pod.UID == "" {
			return fmt.Errorf("%w: a pod without a UID", errForeign)
		}
		if owner := metav1.GetControllerOfNoCopy(pod); owner == nil || owner.UID != r.job {
			return fmt.Errorf("%w: a pod of another Job", errForeign)
		}
		if len(record.Logs) > maxLogsOfPod {
			return fmt.Errorf("%w: %d logs of a pod", errForeign, len(record.Logs))
		}
		for i := range record.Logs {
			log := &record.Logs[i]
			if !log.sound(size - packed) {
				return fmt.Errorf("%w: a log that cannot be", errForeign)
			}
			packed += log.Size
			if text += log.Head + log.Tail; text > maxUnpacked {
				return fmt.Errorf("%w: logs of more than %d bytes", errForeign, maxUnpacked)
			}
		}
	}
	if packed != size {
		return fmt.Errorf("%w: %d bytes of logs, not %d", errForeign, size, packed)
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

// add adds a pod whose logs come first, and returns those behind them.
func (r *Restored) add(record *podRecord, packed []byte) (rest []byte, err error) {
	one := Captured{Pod: record.Pod}
	defer func() { r.captured = append(r.captured, one) }()
	for i := range record.Logs {
		log := &record.Logs[i]
		l, err := r.log(log, packed[:log.Size])
		if err != nil {
			return nil, err
		}
		one.logs = append(one.logs, *l)
		packed = packed[log.Size:]
	}
	return packed, nil
}

// log returns the log that is compressed in packed.
func (r *Restored) log(record *logRecord, packed []byte) (*followedLog, error) {
	text, err := unpack(packed)
	if err != nil {
		return nil, err
	}
	defer text.close()
	memory := r.captures.memory
	room := min(maxText, memory.limit/textShare)
	head, tail := logtext.NewBuffer(room), logtext.NewBuffer(room)
	var all *logpack.Log
	if record.Head+record.Tail > int64(room) {
		all = memory.pool.Open(false)
	}
	if err := unpackInto(text, record, writers{head, tail, all}); err != nil {
		if all != nil {
			memory.pool.Drop(all)
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
		cancel: func() {}, state: done, text: memory.adopt(buffer, all),
		redacted: record.Redacted, capture: results.Capture(record.Capture),
	}
	l.capture.Message = logtext.Line(l.capture.Message, maxMessage)
	return l, nil
}

// writers are where a log goes; all may be nil.
type writers struct {
	head, tail *logtext.Buffer
	all        *logpack.Log
}

func unpackInto(text *unpacked, record *logRecord, to writers) error {
	head, tail := io.Writer(to.head), io.Writer(to.tail)
	if to.all != nil {
		head, tail = io.MultiWriter(head, to.all), io.MultiWriter(tail, to.all)
	}
	if err := text.copy(head, record.Head); err != nil {
		return err
	}
	if to.all != nil {
		to.all.Skip(record.gap())
	}
	if err := text.copy(tail, record.Tail); err != nil {
		return err
	}
	return text.end()
}

// With returns captured together with what was restored, in the order in which
// the pods were seen first. Of each log the better one counts. Until release is
// called the logs stay as they are.
func (r *Restored) With(captured []Captured) (all []Captured, release func()) {
	for _, one := range slices.Concat(r.captured, captured) {
		i := slices.IndexFunc(all, func(c Captured) bool { return c.Pod.UID == one.Pod.UID })
		if i < 0 {
			all = append(all, Captured{Pod: one.Pod, logs: slices.Clone(one.logs)})
			continue
		}
		all[i].merge(one)
	}
	var texts []*text
	for _, one := range r.captured {
		for i := range one.logs {
			one.logs[i].text.pin()
			texts = append(texts, one.logs[i].text)
		}
	}
	return all, func() {
		for _, t := range texts {
			t.unpin()
		}
	}
}

// merge adds what is known of the same pod later.
func (c *Captured) merge(later Captured) {
	if !lostSight(c.Pod, later.Pod) {
		c.Pod = later.Pod
	}
	for _, log := range later.logs {
		i := slices.IndexFunc(c.logs, func(l followedLog) bool { return l.same(&log) })
		switch {
		case i < 0:
			c.logs = append(c.logs, log)
		case !c.logs[i].betterThan(&log):
			c.logs[i] = log
		}
	}
}

// lostSight reports whether now tells less of how the containers of a pod ended
// than before did.
func lostSight(before, now *corev1.Pod) bool { return allEnded(before) && !allEnded(now) }

// same reports whether both are of one instance.
func (l *followedLog) same(other *followedLog) bool {
	return l.container == other.container && l.instance == other.instance &&
		(l.instance != "" || l.previous == other.previous)
}

// betterThan reports whether l has more of a log than other.
func (l *followedLog) betterThan(other *followedLog) bool {
	if gone, otherGone := l.text.isReleased(), other.text.isReleased(); gone != otherGone {
		return otherGone
	}
	if l.capture.Complete != other.capture.Complete {
		return l.capture.Complete
	}
	return l.text.seen() > other.text.seen()
}
